"""DVC's cache and run cache: objects by md5, earlier runs of a stage, and how to restore its outputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from dvc_wandb.errors import DvcWandbError, one_line
from dvc_wandb.project import remedies
from dvc_wandb.project.dvc_project import workspace_md5
from dvc_wandb.project.files import NOT_IN_REMOTE, copy_to
from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline


def folder(pipeline: Pipeline) -> Path:
    """The folder of DVC's cache."""
    return Path(pipeline.dvc.repo.cache.local.path)


def object_path(pipeline: Pipeline, md5: str) -> Path:
    """The path of the object `md5` in the cache, whether it exists or not."""
    return Path(pipeline.dvc.repo.cache.local.oid_to_path(md5))


def has_remote(pipeline: Pipeline) -> bool:
    """Whether a default DVC remote is set up."""
    return bool(pipeline.dvc.repo.config["core"].get("remote"))


def pull_object(pipeline: Pipeline, md5: str) -> str:
    """Bring the bytes of `md5` into the cache from DVC's default remote; the reason if that doesn't bring them."""
    from dvc_data.hashfile.hash_info import HashInfo

    repo = pipeline.dvc.repo
    if not has_remote(pipeline):
        return "no DVC remote is set up"
    try:
        if repo.cloud.get_remote_odb().exists(md5):  # DVC would warn
            repo.cloud.pull([HashInfo("md5", md5)])
    except Exception as error:  # DVC's own, or what the remote's client has
        return f"DVC's remote can't be read: {one_line(error)}"
    return NOT_IN_REMOTE


def push_objects(pipeline: Pipeline, md5s: Iterable[str]) -> int:
    """Push objects of the cache to DVC's default remote; how many that hadn't. Raises DvcWandbError."""
    from dvc_data.hashfile.hash_info import HashInfo

    if not has_remote(pipeline):
        raise DvcWandbError("no DVC remote is set up: `dvc remote add --default NAME URL` adds one.")
    try:
        result = pipeline.dvc.repo.cloud.push([HashInfo("md5", md5) for md5 in md5s])
    except Exception as error:  # DVC's own, or what the remote's client has
        raise DvcWandbError(f"DVC's remote can't be written: {one_line(error)}.") from None
    if result.failed:
        raise DvcWandbError(f"DVC's remote did not take {len(result.failed)} files; run this again.")
    return len(result.transferred)


def is_in_remote(pipeline: Pipeline, md5: str) -> bool:
    """Whether DVC's default remote has the bytes of `md5`; not where it can't be asked for them."""
    with contextlib.suppress(Exception):  # DVC's own, or what the remote's client has
        return has_remote(pipeline) and pipeline.dvc.repo.cloud.get_remote_odb().exists(md5)
    return False


def is_remote_without(pipeline: Pipeline, md5: str) -> bool:
    """Whether DVC's default remote lacks the bytes of `md5`; not where there is none, or it can't be asked."""
    with contextlib.suppress(Exception):  # DVC's own, or what the remote's client has
        return has_remote(pipeline) and not pipeline.dvc.repo.cloud.get_remote_odb().exists(md5)
    return False


def has_remote_in_bucket(pipeline: Pipeline) -> bool:
    """Whether a DVC remote of the project is a bucket of S3's kind."""
    return bool(_remotes_in_bucket(pipeline))


def read_from_bucket(pipeline: Pipeline, address: str, md5: str) -> bytes | None:
    """The bytes of `md5` in the DVC remote at `address`, BUCKET/PREFIX; None where no remote is there or has them."""
    for name in _remotes_in_bucket(pipeline):
        with contextlib.suppress(Exception):  # DVC's own, or what the remote's client has
            remote = pipeline.dvc.repo.cloud.get_remote_odb(name)
            if remote.path.removesuffix("/files/md5").strip("/") == address.strip("/"):
                with remote.fs.open(remote.oid_to_path(md5), "rb") as file:
                    return file.read()
    return None


def _remotes_in_bucket(pipeline: Pipeline) -> list[str]:
    remotes = pipeline.dvc.repo.config["remote"]
    return [name for name, remote in remotes.items() if str(remote.get("url", "")).startswith("s3://")]


def unshared_objects(pipeline: Pipeline, contents: Iterable[Content]) -> dict[str, Path]:
    """The objects of the cache with the files of `contents`, by md5.

    None of them if the workspace's files are links to them: a user may write to these.
    """
    if {"hardlink", "symlink"} & set(pipeline.dvc.repo.cache.local.cache_types):
        return {}
    listings = (pipeline.listing(content) or {} for content in contents if content.kind != "reference")
    return {md5: object_path(pipeline, md5) for listing in listings for md5 in listing.values()}


def cached_runs(pipeline: Pipeline, stage: str) -> Iterator[dict[str, str]]:
    """The runs in DVC's run cache with the command, dependencies and parameters of dvc.lock: md5s of outs by path."""
    import yaml
    from dvc.stage.cache import _get_cache_hash
    from dvc.stage.serialize import to_single_stage_lockfile

    pipeline_stage = pipeline.dvc.stage(stage)
    if not pipeline_stage.cmd or not all(entry.hash_info for entry in (*pipeline_stage.deps, *pipeline_stage.outs)):
        return
    key = _get_cache_hash(to_single_stage_lockfile(pipeline_stage), key=True)
    paths = {out.def_path: pipeline.dvc.path(out) for out in pipeline_stage.outs}
    for file in sorted(Path(pipeline.dvc.repo.stage_cache.cache_dir, key[:2], key).glob("*")):
        outs = yaml.safe_load(file.read_text()).get("outs", [])
        yield {paths[out["path"]]: out["md5"] for out in outs if out["path"] in paths and "md5" in out}


def restore_outs(pipeline: Pipeline, stage: str) -> list[str]:
    """Restore the outputs of `stage` as dvc.lock has them; a sentence for each that could not be restored.

    DVC removes them before it runs a stage. A stage that refuses its input would leave the workspace without.
    """
    lost = []
    for out, content in pipeline.locked_outs(stage):
        if out.persist or not out.hash_info or workspace_md5(out) == out.hash_info.value:
            continue
        try:
            files = pipeline.files(content)
            out.checkout(force=True) if out.use_cache else copy_to(pipeline.root, content, files)
        except DvcWandbError as error:
            lost.append(f"{content.path} is gone: {error}")
        except Exception as error:  # DVC's own; the user has to see the stage's own failure
            remedy = remedies.for_missing_file(pipeline.dvc, content.path)
            lost.append(f"{content.path} is gone: {one_line(error)}. {remedy}")
    return lost
