"""A DVC stage as a W&B run: `with tracked_run("train") as run:` around the work of a stage script.

The stage's inputs, outputs and parameters come from dvc.yaml. The run is opened beside the stage's first steps;
its outputs are logged on leaving. A registry that is away costs one line, never the stage.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage import connection, mirror, promotion, record
from lineage.connection import Connection
from lineage.errors import LineageError, in_a_sentence
from lineage.holdings import Holdings
from lineage.pipeline import Content, Pipeline, project_root

if TYPE_CHECKING:
    import wandb


@contextlib.contextmanager
def tracked_run(stage: str) -> Iterator[TrackedRun]:
    """The run of `stage`; what a user can cause ends in one sentence on stderr and exit status 1."""
    try:
        run = TrackedRun(stage)
        try:
            yield run
            run.complete()
        except BaseException:
            run.abandon()
            raise
    except LineageError as error:
        raise SystemExit(f"{stage}: {error}") from None
    except KeyboardInterrupt:
        print(f"{stage}: interrupted; its earlier outputs are as they were.", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:  # a full disk, a folder that can't be written: the error names the file
        where = f" ({error.filename})" if error.filename else ""
        raise SystemExit(f"{stage}: {error.strerror or error}{where}. DVC kept what it had.") from None


class TrackedRun:
    """What a stage script sees of its stage: parameters, inputs, outputs and the W&B run."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._root = project_root()
        self._connection: Connection | None = None
        self._run: wandb.Run | None = None
        self._missing: str | None = None
        self._abandoned = False
        self._read = threading.Event()  # the project: DVC reads it while the SDK is imported
        self._opening = threading.Thread(target=self._open, daemon=True)
        self._opening.start()
        try:
            self._pipeline = Pipeline(self._root)
            self._execution = self._pipeline.running(stage)
            for dep in self._execution.deps:
                if dep.md5 is None:
                    raise LineageError(f"{dep.path} is missing; `dvc repro {stage}` makes what this stage reads.")
        except BaseException:
            self._missing = "the project can't be read"
            raise
        finally:
            self._read.set()

    def params_in(self, file: str) -> dict[str, Any]:
        """The parameters of `file` that dvc.yaml names for this stage, by their dotted names."""
        return self._execution.params.get(file, {})

    def opened(self) -> wandb.Run:
        """Wait for the W&B run that callbacks write to; one that goes nowhere while the registry is away."""
        self._opening.join()
        if self._run is None:
            import wandb

            self._run = wandb.init(
                mode="offline" if os.environ.get("WANDB_MODE") == "offline" else "disabled",
                settings=wandb.Settings(silent=True),
                config=self._config,
                job_type=self._job,
            )
        return self._run

    def dep(self, name: str) -> Path:
        """The dependency whose file name is `name`."""
        return self._path(name, self._execution.deps, "deps")

    def out(self, name: str) -> Path:
        """The output whose file name is `name`; its folder is made."""
        path = self._path(name, self._execution.outs, "outs")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def depends_on(self, path: str) -> bool:
        """Whether `path` is among the stage's dependencies."""
        wanted = (Path.cwd() / path).resolve()
        return any((self._root / dep.path).resolve() == wanted for dep in self._execution.deps)

    def md5(self, name: str) -> str:
        """The md5 of the dependency whose file name is `name`, as dvc.lock has it."""
        return self._content(name, self._execution.deps, "deps").md5 or ""

    def use_model(self, name: str) -> Path:
        """The dependency `name` as the registry serves it, checked to be the same bytes; else the local file."""
        content = self._content(name, self._execution.deps, "deps")
        local = self._root / content.path
        run, through = self.opened(), self._execution.meta.get("uses") or {}
        if self._missing or self._connection is None:
            return local
        try:
            served = Path(run.use_model(f"{through.get(content.path, content.artifact)}:{content.alias}"))
        except Exception as error:
            self._missed(error)
            return local
        if served.read_bytes() != local.read_bytes():
            raise LineageError(f"the registry serves other bytes than {content.path} under the alias {content.alias}.")
        return served

    def complete(self) -> None:
        """Log the outputs and end the run; says in one line where they are, or that they are not mirrored."""
        self._opening.join()
        for out in self._execution.outs:
            if not (self._root / out.path).exists():
                raise LineageError(f"{out.path} was not written, but dvc.yaml has it among the outs.")
        run, connected = self._run, self._connection
        said = None
        if run is not None and connected is not None and not self._missing:
            try:
                connection.still_there(connected, self._root)
                finished = self._pipeline.running(self._stage)
                record.log_outputs(run, self._pipeline, finished)
                said = promotion.follow(self._pipeline, finished, connected)
                record.mark_complete(run, finished)
            except Exception as error:
                self._missed(error)
        self._finish(0)
        if self._missing:
            print(
                f"{self._stage}: not mirrored: {self._missing}. Its outputs are safe in DVC; "
                "`make mirror` (python -m lineage mirror) makes it up.",
                file=sys.stderr,
            )
        elif run is not None and connected is not None:
            print(f"{self._stage}: mirrored as {connected.project_url}/runs/{run.id}")
        if said:
            print(f"{self._stage}: {said}")

    def abandon(self) -> None:
        """End the run of a stage that failed, and leave its earlier outputs as they were."""
        self._abandoned = True
        self._opening.join()
        try:
            self._pipeline.restore(self._stage)
        except Exception as error:  # the stage's own failure is what the user has to see
            print(
                f"{self._stage}: its earlier outputs are in DVC's cache; `dvc checkout` brings them back "
                f"(here that failed: {error}).",
                file=sys.stderr,
            )
        self._finish(1)

    def _open(self) -> None:
        try:
            self._connection = connection.connect(self._root)
            self._read.wait()
            if self._missing:
                return
            self._run = connection.open_run(
                self._connection,
                job_type=self._job,
                name=self._stage,
                group=os.environ.get("DVC_EXP_NAME"),
                notes=self._execution.desc or None,
                config=self._config,
            )
            self._use_inputs(self._run, self._connection)
        except Exception as error:  # whatever the registry or the SDK may raise, the stage goes on
            self._missed(error)

    def _use_inputs(self, run: wandb.Run, connected: Connection) -> None:
        """Declare the inputs; those that the registry lacks are mirrored first."""
        from wandb.errors import CommError

        try:
            record.use_inputs(run, self._execution)
        except (CommError, ValueError):
            if self._abandoned:
                return
            makers = sorted({maker for dep in self._execution.deps if (maker := self._pipeline.maker(dep))})
            holdings = Holdings(connected)
            mirror.make_up_sources(self._pipeline, connected, holdings, self._pipeline.sources())
            if makers:
                mirror.make_up(self._pipeline, connected, holdings, self._pipeline.locked(*makers))
            record.use_inputs(run, self._execution)

    def _finish(self, exit_code: int) -> None:
        if self._run is not None:
            try:
                self._run.finish(exit_code=exit_code)
            except Exception as error:
                self._missed(error)

    def _missed(self, error: Exception) -> None:
        """Remember the first reason why something is not mirrored."""
        self._missing = self._missing or in_a_sentence(error)

    @property
    def _config(self) -> dict[str, Any]:
        return record.config(self._execution)

    @property
    def _job(self) -> str:
        return self._execution.job_type

    def _path(self, name: str, contents: tuple[Content, ...], where: str) -> Path:
        return self._root / self._content(name, contents, where).path

    def _content(self, name: str, contents: tuple[Content, ...], where: str) -> Content:
        found = [content for content in contents if Path(content.path).name == name]
        if len(found) != 1:
            known = ", ".join(content.path for content in contents)
            raise LineageError(f"dvc.yaml: no single '{name}' among the {where} of stage '{self._stage}': {known}.")
        return found[0]
