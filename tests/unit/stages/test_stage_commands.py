"""Which Python programs a stage's command runs, and where they look for the project's modules."""

from __future__ import annotations

import pytest

from dvc_wandb.project.undeclared.commands import Program, programs


def script(file: str, *search: str) -> Program:
    return Program(search, script=file)


def module(name: str, *search: str) -> Program:
    return Program(search, module=name)


TRAIN = script("src/train.py", "src")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python src/train.py --epochs 5", [TRAIN]),
        ("python3.11 -u src/train.py", [TRAIN]),
        ("/opt/venv/bin/python -W ignore -X dev src/train.py", [TRAIN]),
        ("env SEED=1 python src/train.py", [TRAIN]),
        ("SEED='1 2' nice -n 5 python src/train.py", [TRAIN]),
        ("poetry run python src/train.py", [TRAIN]),
        ("accelerate launch --num_processes 2 src/train.py", [TRAIN]),
        ("src/train.py", [TRAIN]),
        ("python -m src.train", [module("src.train", "")]),
        ("python -Wignore -um src.train out.csv", [module("src.train", "")]),
        ("python -c 'import util; util.main()' x", [Program(("",), code="import util; util.main()")]),
        ("PYTHONPATH=src:$HOME/lib python -m train", [module("train", "", "src")]),
        ("python -P -m train", [module("train")]),
        ("mkdir -p out && python src/train.py > out/log.txt 2>&1; wc -l out/log.txt", [TRAIN]),
        ("(cd src && python train.py) | tee log && python src/eval.py", [TRAIN, script("src/eval.py", "src")]),
        ("cd src; python -m train", [module("train", "src")]),
        ("if true; then python src/train.py; fi", [TRAIN]),
        ("python src/train.py  # don't forget", [TRAIN]),
        (["python src/train.py", "python src/eval.py"], [TRAIN, script("src/eval.py", "src")]),
        ("cd src\npython src/train.py", [TRAIN]),
        ("cd $FOLDER && python train.py", []),
        ("cd /tmp && python train.py", []),
        ("python $SCRIPT", []),
        ("python < train.py", []),
        ("echo python src/train.py", []),
        ("cat src/train.py", []),
        ("python - src/train.py", []),
    ],
)
def test_the_programs_of_a_command(command: str | list[str], expected: list[Program]):
    assert list(programs(command, ".")) == expected


def test_a_command_runs_in_the_folder_of_its_stage():
    assert list(programs("python ../lib/train.py", "sub")) == [script("lib/train.py", "lib")]
    assert list(programs("python -m train", "sub")) == [module("train", "sub")]
    assert list(programs("python ../../outside.py", "sub")) == []
