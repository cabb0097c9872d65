"""A DVC project as frozen facts: its stages, what they read and write, and the md5s of it all.

DVC itself reads dvc.yaml and dvc.lock here (templating, foreach, .dvcignore are its own); nothing else in
`lineage` does. No W&B here either: names of artifacts are derived, never looked up.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineage.errors import NotAtHand, WrongProject, first_line


@dataclass(frozen=True)
class Content:
    """A file or folder at one md5, and the artifact that mirrors it.

    `md5` is as dvc.lock has it (a folder's ends in `.dir`), None where the path doesn't exist.
    `kind` is what DVC makes of it: out, metrics, plots, or source for what no stage makes.
    """

    path: str
    md5: str | None
    artifact: str
    type: str
    kind: str
    desc: str = ""

    @property
    def alias(self) -> str:
        """The content alias that ties the artifact version to dvc.lock."""
        return f"dvc-{self.md5}"


@dataclass(frozen=True)
class Execution:
    """One stage at the md5s of its dependencies and outputs: an entry of dvc.lock."""

    stage: str
    cmd: str
    desc: str
    job_type: str
    deps: tuple[Content, ...]
    outs: tuple[Content, ...]
    params: dict[str, dict[str, Any]]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names this execution by its content: equal for equal commands, parameters and md5s."""
        facts = [
            self.stage,
            self.cmd,
            self.params,
            [(dep.path, dep.md5) for dep in self.deps],
            [(out.path, out.md5) for out in self.outs],
        ]
        return hashlib.md5(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def out(self, path: str) -> Content:
        return next(out for out in self.outs if out.path == path)


class Pipeline:
    """The stages of a DVC project, in the order in which data flows."""

    def __init__(self, root: Path) -> None:
        """Raises WrongProject where DVC can't read the project."""
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        try:
            self._repo = Repo(str(root))
            self._stages = {_address(root, stage): stage for stage in self._repo.index.stages}
        except DvcException as error:
            reason = first_line(error)
            hint = " Templates in dvc.yaml take their values from params.yaml." if "Could not find" in reason else ""
            raise WrongProject(f"DVC can't read this project: {reason}.{hint}") from None
        self.root = root
        self._named = self._artifacts_section()
        self._laid_out: dict[Content, Path] = {}
        self._owners = {self._path(out): out for stage in self._stages.values() for out in stage.outs if out.is_in_repo}
        deps = (dep for stage in self._stages.values() for dep in stage.deps if dep.hash_name != "params")
        self._entries = {**{self._path(dep): dep for dep in deps}, **self._owners}

    def locked(self, *targets: str) -> list[Execution]:
        """The executions that dvc.lock holds, up to `targets` (all stages without one), upstream first."""
        wanted = self._upstream_of(targets) if targets else set(self._stages)
        return [
            self._execution(stage, now=False)
            for stage in self._in_order()
            if _address(self.root, stage) in wanted and stage.cmd and all(out.hash_info.value for out in stage.outs)
        ]

    def running(self, name: str) -> Execution:
        """Stage `name` as it would run now: dependencies and outputs hashed as they lie in the workspace."""
        return self._execution(self._stage(name), now=True)

    def sources(self) -> list[Content]:
        """What the stages read and none of them makes, as it lies in the workspace."""
        deps = (dep for stage in self._stages.values() for dep in stage.deps if dep.hash_name != "params")
        return [self._content(dep, now=True) for dep in deps if self._owner(dep) is dep]

    def maker(self, content: Content) -> str | None:
        """The stage that makes `content`; None for a source."""
        owner = self._owners.get(content.path)
        return _address(self.root, owner.stage) if owner is not None and owner.stage.cmd else None

    def at_hand(self, content: Content) -> Path:
        """Where the bytes of `content` lie: in the workspace, else laid out from DVC's cache.

        Raises NotAtHand where neither has them at its md5.
        """
        if content not in self._laid_out:
            path = self.root / content.path
            here = self._entries[content.path]
            self._laid_out[content] = path if _hashed(here) == content.md5 else self._from_cache(content)
        return self._laid_out[content]

    def files(self, content: Content) -> dict[str, Path]:
        """The files of `content` by the names that DVC knows them by; raises NotAtHand."""
        path = self.at_hand(content)
        if path.is_file():
            return {path.name: path}
        return {Path(file).relative_to(path).as_posix(): Path(file) for file in sorted(self._walk(path))}

    def hold(self, contents: Iterable[Content]) -> None:
        """Keep the bytes of `contents` as they lie in the workspace now, whatever DVC does there meanwhile.

        As hard links where the file system has them; `at_hand` finds them until this process ends.
        """
        folder = tempfile.mkdtemp(prefix="held-", dir=self._repo.tmp_dir)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for number, content in enumerate(contents):
            held = Path(folder) / str(number) / Path(content.path).name
            for name, path in self.files(content).items():
                target = held / name if path != self.root / content.path else held
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    target.hardlink_to(path)
                except OSError:  # another file system, or one without links
                    shutil.copyfile(path, target)
            self._laid_out[content] = held

    def goes_on_after(self, execution: Execution) -> bool:
        """Whether a stage that reads an output of `execution` can't stay as it was locked.

        It was locked with other bytes, or never, or outputs of its own are nowhere to be had.
        """
        made = {out.path: out.md5 for out in execution.outs}
        for stage in self._stages.values():
            read = {self._path(dep): dep.hash_info for dep in stage.deps if self._path(dep) in made}
            if any(not md5 or md5.value != made[path] for path, md5 in read.items()) or (
                read and any(not out.exists and not self._is_cached(out) for out in stage.outs)
            ):
                return True
        return False

    def _is_cached(self, out: Any) -> bool:
        return bool(out.hash_info) and Path(self._repo.cache.local.oid_to_path(out.hash_info.value)).exists()

    def _walk(self, folder: Path) -> Iterable[str]:
        if folder.is_relative_to(self.root) and not folder.is_relative_to(self._repo.tmp_dir or ""):
            return self._repo.dvcignore.find(self._repo.fs, str(folder))
        return (str(file) for file in folder.rglob("*") if file.is_file())

    def _from_cache(self, content: Content) -> Path:
        """`content` under its own name in a temporary folder, as links to the objects of DVC's cache."""
        objects = {content.md5 or "": Path()}
        top = Path(self._repo.cache.local.oid_to_path(content.md5 or "missing"))
        if top.exists() and str(content.md5).endswith(".dir"):
            objects = {entry["md5"]: Path(entry["relpath"]) for entry in json.loads(top.read_text())}
        cached = [(Path(self._repo.cache.local.oid_to_path(md5)), name) for md5, name in objects.items()]
        if not top.exists() or not all(path.exists() for path, _ in cached):
            raise NotAtHand(content.path, in_git=not getattr(self._entries[content.path], "use_cache", False))
        folder = tempfile.mkdtemp(prefix="lineage-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        target = Path(folder) / Path(content.path).name
        for path, name in cached:
            link = target / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        return target

    def restore(self, name: str) -> None:
        """Bring the outputs of stage `name` back as dvc.lock has them, as far as DVC's cache holds them.

        DVC removes them before it runs a stage; one that refuses its input would leave the workspace without.
        """
        for out in self._stage(name).outs:
            if out.persist or not self._is_cached(out) or _hashed(out) == out.hash_info.value:
                continue
            cached = self._repo.cache.local.oid_to_path(out.hash_info.value)
            if out.use_cache:
                out.checkout(force=True)
            else:  # git keeps it, and the run cache a copy
                Path(out.fs_path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(cached, out.fs_path)

    def plots(self) -> dict[str, dict[str, Any]]:
        """The definitions of the `plots:` sections by name."""
        found: dict[str, dict[str, Any]] = {}
        sections: dict[str, Any] = self._repo.index._plots
        for definitions in sections.values():
            for entry in definitions:
                found |= {entry: {}} if isinstance(entry, str) else {k: v or {} for k, v in entry.items()}
        return found

    def _stage(self, name: str) -> Any:
        try:
            return self._stages[name]
        except KeyError:
            known = ", ".join(sorted(self._stages)) or "none"
            raise WrongProject(f"dvc.yaml has no stage '{name}'. Its stages: {known}.") from None

    def _execution(self, stage: Any, now: bool) -> Execution:
        meta = (stage.meta or {}).get("wandb") or {}
        files = [dep for dep in stage.deps if dep.hash_name != "params"]
        return Execution(
            stage=_address(self.root, stage),
            cmd=stage.cmd if isinstance(stage.cmd, str) else "\n".join(stage.cmd),
            desc=stage.desc or "",
            job_type=meta.get("job_type", stage.addressing),
            deps=tuple(self._content(self._owner(dep), now) for dep in files),
            outs=tuple(self._content(out, now) for out in stage.outs),
            params={
                str(dep): _params(_address(self.root, stage), dep) if now else dict(dep.hash_info.value or {})
                for dep in stage.deps
                if dep.hash_name == "params"
            },
            meta=meta,
        )

    def _content(self, entry: Any, now: bool) -> Content:
        path = self._path(entry)
        md5 = _hashed(entry) if now else entry.hash_info.value
        named = self._named.get(path)
        made = path in self._owners
        kind = "metrics" if entry.metric else "plots" if entry.plot else "out" if made else "source"
        plain_type = {"out": "data", "source": "code"}.get(kind, kind)
        return Content(
            path=path,
            md5=md5,
            artifact=named[0] if named else artifact_name(path),
            type=named[1].get("type") or plain_type if named else plain_type,
            kind=kind,
            desc=(named[1].get("desc") or "") if named else "",
        )

    def _owner(self, dep: Any) -> Any:
        """The output that holds `dep`: itself, or the folder that another stage makes around it."""
        path = Path(self._path(dep))
        return next((self._owners[str(p)] for p in (path, *path.parents) if str(p) in self._owners), dep)

    def _path(self, entry: Any) -> str:
        return Path(entry.fs_path).relative_to(self._repo.root_dir).as_posix() if entry.is_in_repo else str(entry)

    def _artifacts_section(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Path → (name, what the `artifacts:` section says of it), over all dvc.yaml files."""
        return {
            (Path(dvcfile).parent / entry["path"]).relative_to(self.root).as_posix(): (name, entry)
            for dvcfile, section in self._repo.index._artifacts.items()
            for name, entry in section.items()
        }

    def _upstream_of(self, targets: tuple[str, ...]) -> set[str]:
        import networkx

        graph = self._repo.index.graph
        wanted = {self._stage(name) for name in targets}
        return {_address(self.root, stage) for one in wanted for stage in networkx.dfs_preorder_nodes(graph, one)}

    def _in_order(self) -> Iterator[Any]:
        import networkx

        return networkx.dfs_postorder_nodes(self._repo.index.graph)


def project_root() -> Path:
    """The folder of the DVC project that we stand in, found without DVC; raises WrongProject outside of one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
    raise WrongProject(f"{here} is not in a DVC project: there is no .dvc folder here or above. Run `dvc init`.")


def setting(root: Path, key: str) -> Any:
    """The value of `key` in params.yaml, dotted; None where it isn't."""
    import yaml

    try:
        value: Any = yaml.safe_load((root / "params.yaml").read_text())
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongProject(f"params.yaml can't be read: {first_line(error)}.") from None
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def artifact_name(path: str) -> str:
    """A readable artifact name made from a path, never the same for two paths.

    Slashes become hyphens. Where that could be undone in two ways, or W&B refuses a character, a piece of the
    path's own md5 is added after two hyphens, which no plain name contains.
    """
    slug = re.sub(r"[^\w.-]+", "-", path.replace("/", "-"), flags=re.ASCII).strip("-")
    if re.fullmatch(r"[\w.]+(/[\w.]+)*", path, flags=re.ASCII) and len(slug) <= 128:
        return slug
    exact = hashlib.md5(path.encode(errors="surrogatepass")).hexdigest()
    return f"{slug[:110]}--{exact[:8]}"


def _address(root: Path, stage: Any) -> str:
    """The stage's name, with the path of its file unless that is the root's dvc.yaml; the same from every folder."""
    file = Path(stage.path).relative_to(root).as_posix()
    name = getattr(stage, "name", None)
    return file if name is None else name if file == "dvc.yaml" else f"{file}:{name}"


def _params(stage: str, dep: Any) -> dict[str, Any]:
    """The values in the workspace of the parameters that `stage` names in one file."""
    from dvc.exceptions import DvcException

    try:
        values = dep.read_params(flatten=True)
    except DvcException as error:
        raise WrongProject(f"{dep} can't be read: {first_line(error)}.") from None
    missing = [name for name in dep.params if name not in values]
    if missing:
        raise WrongProject(f"{dep} has no {', '.join(missing)}, which stage '{stage}' in dvc.yaml reads.")
    return values


def _hashed(entry: Any) -> str | None:
    return entry.get_hash().value if entry.exists else None
