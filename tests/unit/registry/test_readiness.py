"""Whether a store answers: a disk that hangs takes one thread, however often somebody asks."""

from __future__ import annotations

import asyncio
import threading

from wandb_registry.http.health import Readiness


def test_a_store_that_hangs_is_asked_once():
    asked, hangs = [], threading.Event()

    def ask() -> None:
        asked.append(1)
        hangs.wait(60)

    async def probe() -> list[str | None]:
        readiness = Readiness(ask, seconds=0.05)
        told = [await readiness.problem() for _ in range(3)]
        hangs.set()
        while readiness._question and not readiness._question.done():
            await asyncio.sleep(0.01)
        return [*told, await readiness.problem()]

    *while_it_hangs, after = asyncio.run(probe())
    assert set(while_it_hangs) == {"The store doesn't answer within 0.05 seconds."}
    assert after is None
    assert len(asked) == 2


def test_a_store_that_cannot_be_read_says_why():
    def ask() -> None:
        raise OSError(5, "Input/output error")

    assert asyncio.run(Readiness(ask).problem()) == "The store can't be read: [Errno 5] Input/output error."
