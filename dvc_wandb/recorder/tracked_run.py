"""A DVC stage as a W&B run: `with tracked_run("train") as run:` around the work of a stage script.

The stage's inputs, outputs and parameters come from dvc.yaml. The recorder, a process beside the stage, opens the run
and logs the outputs, while DVC runs the next stage. Without a registry the stage prints one line and goes on.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_wandb.errors import (
    DvcWandbError,
    ProjectError,
    RecorderExitedError,
    error_reason,
    not_mirrored_message,
)
from dvc_wandb.project import cache
from dvc_wandb.project.lock import Execution
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.recorder.client import RecorderClient, command_start_time
from dvc_wandb.recorder.console import ConsoleCopy
from dvc_wandb.recorder.live_run import LiveRun
from dvc_wandb.recorder.opened_files import OpenedFiles

if TYPE_CHECKING:
    import wandb


@contextlib.contextmanager
def tracked_run(stage: str, live: bool = False) -> Iterator[TrackedRun]:
    """The run of `stage`. An error that a user can cause ends it with one sentence on stderr and exit status 1.

    A `live` run is open in this process while the stage works, for callbacks: `run.wandb_run()` waits for it.
    A script that is started with --help explains itself and runs nothing. docs/tracked_run.md shows all methods.
    """
    _explain_if_asked(stage)
    try:
        with ConsoleCopy(stage) as console:
            run = TrackedRun(stage, live)
            try:
                with run.opened_files:
                    yield run
                run.complete(console.text)
            except BaseException:
                run.abandon(console.text)
                raise
    except DvcWandbError as error:
        raise SystemExit(f"{stage}: {error}") from None
    except KeyboardInterrupt:
        print(f"{stage}: interrupted; its earlier outputs are as they were.", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:  # for a full disk the error names no file
        what = f"{error.strerror or error} ({error.filename or Path.cwd()})"
        raise SystemExit(f"{stage}: {what}. DVC kept what it had; mend that and run it again.") from None


class TrackedRun:
    """A stage script's view of its stage: parameters, inputs, outputs and the W&B run."""

    def __init__(self, stage: str, live: bool) -> None:
        self._stage = stage
        self._root = project_root()
        try:
            self._recorder = RecorderClient(self._root)
            self._execution = self._begin(live)
        except BaseException:
            _restore_outs(self._root, stage)
            raise
        declared = [entry.path for entry in (*self._execution.deps, *self._execution.outs)]
        self.opened_files = OpenedFiles(self._root, declared, since=command_start_time())
        self._live = LiveRun(self._root, self._recorder, self._execution) if live else None

    def _begin(self, live: bool) -> Execution:
        request = ("begin", self._stage, live, os.getpid(), _program())
        try:
            return self._recorder.call(*request)
        except RecorderExitedError:  # killed before this stage began: start another one
            self._recorder.close()
            self._recorder = RecorderClient(self._root)
            return self._recorder.call(*request)

    def params_in(self, file: str) -> dict[str, Any]:
        """The parameters of `file` that dvc.yaml names for this stage, by their dotted names."""
        return self._execution.params.get(file, {})

    def wandb_run(self) -> wandb.Run:
        """Wait for the live W&B run, and return it; a disabled one if the registry is unavailable."""
        if self._live is None:
            raise DvcWandbError(f'tracked_run("{self._stage}", live=True) opens a run that callbacks can write to.')
        run = self._live.wandb_run()
        with contextlib.suppress(RecorderExitedError):
            _print_messages(self._recorder.call("messages"))
        return run

    def dep(self, name: str) -> Path:
        """The dependency whose file name is `name`."""
        return self._root / self._execution.find_content(name, "deps").path

    def out(self, name: str) -> Path:
        """The output whose file name is `name`. Makes its folder."""
        path = self._root / self._execution.find_content(name, "outs").path
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def depends_on(self, path: str) -> bool:
        """Whether `path` is among the stage's dependencies, or within one."""
        target = (Path.cwd() / path).resolve()
        return any(target.is_relative_to((self._root / dep.path).resolve()) for dep in self._execution.deps)

    def md5(self, name: str) -> str:
        """The md5 of the dependency whose file name is `name`, as dvc.lock has it."""
        return self._execution.find_content(name, "deps").md5 or ""

    def use_model(self, name: str) -> Path:
        """The dependency `name`, downloaded from the registry and compared with the local file; else the local file."""
        content = self._execution.find_content(name, "deps")
        local = self._root / content.path
        try:
            served = self._recorder.call("use_model", content)
        except RecorderExitedError:
            served = None
        if served is None:
            return local
        if Path(served).read_bytes() != local.read_bytes():
            raise DvcWandbError(f"the registry serves other bytes than {content.path} under the alias {content.alias}.")
        return Path(served)

    def find_model(self, target: str, md5: str) -> Path | None:
        """An earlier version of the registered model `target`, by its md5.

        From the workspace, DVC's cache, the registry or DVC's remote, and checked. None if nothing has it.
        """
        try:
            path = self._recorder.call("find_model", target, md5)
        except RecorderExitedError:
            return None
        return Path(path) if path else None

    def complete(self, console: str) -> None:
        """Have the outputs logged. Prints one line: where they are, or why they are not mirrored."""
        try:
            self._end("complete", console, 0, self.opened_files.inputs())
        except RecorderExitedError as error:
            print(not_mirrored_message(self._stage, error_reason(error)), file=sys.stderr)
        self._recorder.close()

    def abandon(self, console: str) -> None:
        """Finish the run of a failed stage, and restore its earlier outputs."""
        try:
            self._end("abandon", console, 1)
        except DvcWandbError:  # the stage's own failure is what the user has to see
            _restore_outs(self._root, self._stage)
        self._recorder.close()

    def _end(self, method: str, console: str, exit_code: int, *more: list[str]) -> None:
        live = self._live.close(exit_code) if self._live else None
        _print_messages(self._recorder.call(method, console, live, *more))


def _print_messages(messages: list[tuple[str, bool]]) -> None:
    for line, failed in messages:
        print(line, file=sys.stderr if failed else sys.stdout, flush=True)


def _restore_outs(root: Path, stage: str) -> None:
    """Restore the outputs that DVC removed, if the stage can't begin."""
    with contextlib.suppress(ProjectError):  # which DVC would have seen before
        for line in cache.restore_outs(Pipeline(root), stage):
            print(f"{stage}: {line}", file=sys.stderr)


def _explain_if_asked(stage: str) -> None:
    """Print the script's docstring if --help is its only argument; a script that reads its own never comes this far."""
    if sys.argv[1:] in (["--help"], ["-h"]):
        print((sys.modules["__main__"].__doc__ or "").strip() or f"Runs the stage {stage}.")
        print(f"\nInputs, outputs and parameters: the stage {stage} in dvc.yaml. It takes no arguments.")
        raise SystemExit(0)


def _program() -> str:
    """The program, as W&B shows it: `-m stages.train`."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    return f"-m {spec.name}" if spec else getattr(main, "__file__", "") or sys.argv[0]
