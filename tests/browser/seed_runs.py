"""Logs runs to look at: numbers over steps, pictures, tables, a confusion matrix, and hostile text in all of them.

Run by test_runs.py with WANDB_BASE_URL and WANDB_API_KEY set. With `live FOLDER` it logs one run slowly, until a
file `stop` appears in the folder; with `define` the runs of test_charts.py.
"""

# Written as people write it, without types:
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false

import sys
import time
import wave
from pathlib import Path

import numpy as np
import wandb

EVIL = "<img src=x onerror=alert(1)>"
ROWS = 130


def picture(number: int) -> wandb.Image:
    pixels = np.zeros((28, 28), dtype="uint8")
    pixels[number % 28, :] = 255
    return wandb.Image(pixels, caption=f"row {number}")


def digits() -> wandb.Table:
    table = wandb.Table(columns=["number", "word", "img"])
    for number in range(ROWS):
        table.add_data(number, ["even", "odd"][number % 2] if number else EVIL, picture(number))
    return table


def media() -> dict:
    """A picture with a mask and a box, a wide one, a sound, and two pages in HTML."""
    mask = np.zeros((28, 28), dtype="uint8")
    mask[5:20, 5:20] = 1
    labels = {1: EVIL}
    box = {"position": {"minX": 0.1, "maxX": 0.5, "minY": 0.1, "maxY": 0.5}, "class_id": 1, "box_caption": EVIL}
    masks = {"truth": {"mask_data": mask, "class_labels": labels}}
    boxes = {"found": {"box_data": [box], "class_labels": labels}}
    with wave.open("beep.wav", "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    return {
        "segments": wandb.Image(np.full((28, 28), 99, dtype="uint8"), masks=masks, boxes=boxes),
        "sheet": wandb.Image(np.zeros((20, 660), dtype="uint8")),
        "beep": wandb.Audio("beep.wav"),
        "pages": [wandb.Html(f"<script>alert({number})</script>") for number in range(2)],
    }


def plots() -> dict:
    """One of each drawing that `wandb.plot` knows by itself."""
    points = wandb.Table(["at", "value", "of"], [[at, at * at, "ab"[at % 2]] for at in range(8)])
    named = wandb.Table(["name", "gain"], [["cat", 0.5], [EVIL, -0.25]])
    return {
        "lines": wandb.plot.line(points, "at", "value", stroke="of", title="Squares"),
        "dots": wandb.plot.scatter(points, "at", "value", title="Points"),
        "gains": wandb.plot.bar(named, "name", "gain", title="Gains"),
        "spread": wandb.plot.histogram(points, "value", title="Spread"),
        "roc": wandb.plot.roc_curve([0, 1, 1, 0], [[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.7, 0.3]]),
        "own": wandb.plot_table("someone/own", points, {"x": "at"}, {}),
    }


def fill() -> None:
    for number in range(3):
        config = {"lr": 0.1 / (number + 1), "train": {"epochs": number + 5}, EVIL: EVIL}
        group = "pair" if number else None
        with wandb.init(project="looks", id=f"run{number}", name=f"fit-{number}", group=group, config=config) as run:
            for step in range(60):
                run.log({"loss": 1 / (step + 1 + number), "accuracy": 1 - 1 / (step + 2)})
            print(f"said by {number}", EVIL)
            run.log({"last": number, "odd": number % 2 == 1})
            if number == 0:
                run.log({"digit": picture(3), "table": digits(), "deep": {"gain": 0.5}})
                run.log({"digit": picture(4), "größe": 2.0, **media()})
                print("\x1b[1;31mred\x1b[0m and plain")
                print("\r 10 %\r100 %")
                matrix = wandb.plot.confusion_matrix(y_true=[0, 0, 1, 1], preds=[0, 1, 1, 1], class_names=["cat", EVIL])
                run.log({"confusion": matrix, **plots()})
                data = wandb.Artifact("data", "dataset", metadata={"dvc": {"path": "data/digits", "md5": "a" * 32}})
                data.add(digits(), "digits")
                run.log_artifact(data, aliases=["latest", "dvc-" + "a" * 32]).wait()
            else:
                run.use_artifact("data:latest")
                model = wandb.Artifact("weights", "model")
                with model.new_file("w") as file:
                    file.write(str(number))
                run.log_artifact(model).wait()


def define() -> None:
    """Two runs whose metrics are defined over epochs; one that has a peak, NaN, and values of zero."""
    for number in range(2):
        with wandb.init(project="defined", id=f"d{number}", name=f"epochs-{number}", group="both") as run:
            run.define_metric("epoch")
            run.define_metric("val/*", step_metric="epoch", summary="min")
            run.define_metric("val/secret", step_metric="epoch", hidden=True)
            for step in range(600):
                peak = 9.0 if step == 434 and number else (step % 7) / 10
                run.log({"epoch": step // 30, "val/loss": 1 / (step + 1 + number), "val/secret": 1, "peak": peak})
            run.log({"peak": float("nan")})


def live(folder: Path) -> None:
    soon = wandb.Settings(x_file_stream_transmit_interval=0.5)
    with wandb.init(project="looks", id="live", name="live", settings=soon) as run:
        step = 0
        while not (folder / "stop").exists():
            run.log({"loss": 1 / (step + 1), "seen": step})
            print("line", step)
            step += 1
            time.sleep(0.3)


if __name__ == "__main__":
    if sys.argv[1:2] == ["live"]:
        live(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["define"]:
        define()
    else:
        fill()
