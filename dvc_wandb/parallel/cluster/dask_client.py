"""A client of Dask's scheduler: python -m dvc_wandb.parallel.cluster.dask_client ADDRESS.

It reads questions as lines of JSON, [method, argument …], and answers each with one, [whether it worked, answer]. The
jobs go on when it ends: the scheduler keeps what is fired and forgotten.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from typing import Any

from dvc_wandb.errors import one_line
from dvc_wandb.parallel.cluster import dask_task

PREFIX = "dvc-wandb-"  # of the jobs' keys


def main() -> None:
    from distributed import Client

    try:
        client = Client(sys.argv[1], timeout=20, set_as_default=False)
    except (OSError, ValueError) as error:
        _say(False, one_line(error))
        sys.exit(1)
    _say(True, None)
    answers = _Answers(client)
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        try:
            _say(True, getattr(answers, method)(*arguments))
        except Exception as error:  # of the scheduler, or on the way there
            _say(False, one_line(error))
            if client.status == "closed":  # it looks for a scheduler that is gone no longer than for seconds
                sys.exit(1)


def _say(ok: bool, answer: Any) -> None:
    print(json.dumps([ok, answer]), flush=True)


class _Answers:
    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, name: str, resources: dict[str, float], variables: dict[str, str]) -> str:
        from distributed import fire_and_forget

        # It is also part of a file's name
        key = f"{PREFIX}{re.sub('[^A-Za-z0-9_.@-]', '-', name)}-{secrets.token_hex(4)}"
        future = self._client.submit(dask_task.run, key, variables, key=key, resources=resources, pure=False)
        fire_and_forget(future)
        return key

    def states(self) -> dict[str, tuple[str, str, str]]:
        def look(dask_scheduler: Any) -> dict[str, tuple[str, str, str]]:
            # A function in a function travels as code: the scheduler needs no package of ours
            found = {}
            for key, task in dask_scheduler.tasks.items():
                if str(key).startswith("dvc-wandb-"):
                    lacking = ""
                    if task.state == "no-worker":
                        asked = ", ".join(f"{name}: {value:g}" for name, value in task.resource_restrictions.items())
                        lacking = f"no worker has {asked}" if asked else "no worker is there"
                    worker = task.processing_on.name if task.processing_on else ""
                    state = "FAILED" if task.state == "erred" else "RUNNING" if worker else "PENDING"
                    if task.state in ("memory", "forgotten"):
                        state = "COMPLETED"
                    found[key] = (state, str(worker), lacking)
            return found

        return self._client.run_on_scheduler(look)

    def cancel(self, jobs: list[str]) -> None:
        from distributed import Future

        self._client.cancel([Future(job, self._client) for job in jobs], force=True)


if __name__ == "__main__":
    main()
