"""Archives by which a node and the head exchange files: what leads out of the project is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.parallel.cluster.away import archive
from dvc_wandb.parallel.cluster.exchange import Exchange


def test_files_come_out_as_they_went_in(tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "a/b").mkdir(parents=True)
    (source / "a/b/run.sh").write_text("echo")
    (source / "a/b/run.sh").chmod(0o755)
    target.mkdir()
    archive.put(Exchange(str(tmp_path)), "kept.tar", source, ["a"])
    archive.take(Exchange(str(tmp_path)), "kept.tar", target)
    assert (target / "a/b/run.sh").read_text() == "echo"
    assert (target / "a/b/run.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../out.txt", tarfile.REGTYPE),
        ("a/../../out.txt", tarfile.REGTYPE),
        ("/out.txt", tarfile.REGTYPE),
        ("link", tarfile.SYMTYPE),
        ("link", tarfile.LNKTYPE),
        ("pipe", tarfile.FIFOTYPE),
    ],
)
def test_what_leads_out_is_refused_and_nothing_written(tmp_path: Path, name: str, kind: bytes):
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("good.txt"), io.BytesIO())
        bad = tarfile.TarInfo(name)
        bad.type, bad.linkname = kind, "/etc/passwd"
        tar.addfile(bad, io.BytesIO())
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(DvcWandbError, match="which is not a file of the project"):
        archive.take(Exchange(str(tmp_path)), "bad.tar", target)
    assert not list(target.iterdir())
    assert not (tmp_path / "out.txt").exists()
