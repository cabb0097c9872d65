"""Draws training and evaluation pictures from what a source has: classes in their shares, none in both."""

from __future__ import annotations

import numpy as np

from dvc_wandb import DvcWandbError
from stages.dataset import Split

MIN_TRAIN = 10  # pictures
USUAL_SIZE = {"mnist_5k": 4200, "mnist": 6000, "fashion_mnist": 6000, "cifar10": 6000}  # 4200, 6000: the walkthrough's


def draw_splits(
    source: str, pools: list[Split], train_size: int | str, eval_size: int | str, seed: int
) -> tuple[Split, Split]:
    """Training and evaluation pictures from one pool, or from one for each: drawn by `seed`."""
    order = np.random.default_rng(seed)
    train_pool = _balanced(pools[0], order)
    shared = len(pools) == 1  # one pool for both: what training takes, evaluation can't have
    available = len(train_pool[1])

    train = _size(train_size, USUAL_SIZE.get(source) or (available * 6 // 7 if shared else available))
    _check_train(source, train, available, shared)
    eval_pool = _rest(train_pool, train) if shared else _balanced(pools[1], order)
    evaluate = _size(eval_size, min(train // 6, len(eval_pool[1])) if source not in USUAL_SIZE else train // 6)
    if train < MIN_TRAIN or evaluate < 1:
        raise DvcWandbError(
            f"data.source: {source} leaves {max(train, 0)} pictures for training and {max(evaluate, 0)} for "
            f"evaluation; at least {MIN_TRAIN} and 1 are needed."
        )
    _check_eval(source, train, evaluate, len(eval_pool[1]), shared)
    return _first(train_pool, train), _first(eval_pool, evaluate)


def _balanced(pool: Split, order: np.random.Generator) -> Split:
    """`pool` in an order in which the first n rows, for every n, hold the classes in the pool's shares."""
    x, y = pool
    place = np.empty(len(y))
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        place[rows] = (order.permutation(len(rows)) + 0.5) / len(rows)
    rows = np.argsort(place, kind="stable")
    return x[rows], y[rows]


def _size(wanted: int | str, usual: int) -> int:
    return usual if wanted == "auto" else int(wanted)


def _first(pool: Split, n: int) -> Split:
    return pool[0][:n], pool[1][:n]


def _rest(pool: Split, n: int) -> Split:
    return pool[0][n:], pool[1][n:]


def _check_train(source: str, train: int, available: int, shared: bool) -> None:
    if train > available or (shared and train == available):
        left = ", and evaluation needs some" if shared else ""
        raise DvcWandbError(
            f"params.yaml: data.train_size is {train:,}, but {source} has {available:,} pictures{left}."
        )


def _check_eval(source: str, train: int, evaluate: int, available: int, shared: bool) -> None:
    if not 0 < evaluate <= available:
        left = f" beside {train:,} for training" if shared else " for evaluation"
        raise DvcWandbError(
            f"params.yaml: data.eval_size is {evaluate:,}, but {source} has {available:,} pictures{left}."
        )
