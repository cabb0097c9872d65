"""The registry's alias `production` follows what git has committed; another decision or a click is only told.

Three tests of the main paths; `make soak` has the time for the others.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dvc_wandb import promoting
from tests.dvc_wandb.promoting import TARGET, Project

pytestmark = pytest.mark.slow

NOBODY = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "k" * 40}
COMMIT_IT = "commit it, then `dvc-wandb promote` moves the alias 'production'"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = promoting.make(tmp_path_factory.mktemp("promoting") / "made")
    project.run("wandb-registry", "stop")
    return project


@pytest.fixture
def project(once: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """One clone, `one` in production."""
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    made = promoting.copied(once, tmp_path / "mine")
    yield made
    made.run("wandb-registry", "stop", ok=False)


@pytest.fixture
def colleague(project: Project, tmp_path: Path) -> Project:
    """Another clone of it, which shares the registry."""
    return project.cloned(tmp_path / "theirs", REGISTRY_DIR=str(project.path / ".registry"))


def test_a_decision_moves_the_alias_once_it_is_committed_and_back_once_that_is_reverted(project: Project):
    one, two = project.recorded, project.write("two")
    assert f"champion.json names {TARGET} {two[:8]}; {COMMIT_IT}" in project.ask("promote")
    assert f"'production' would stay on {one[:8]} (v0) in the registry until that is committed" in project.ask(
        "promote", "--dry"
    )
    project.ask("mirror")
    assert COMMIT_IT in project.ask("verify")  # a note
    assert "not committed yet" in project.ask("history", "Best")
    assert f"{one[:8]}, in production by champion.json at the commit" in project.ask("get", "Best", "-o", "got")
    assert project.held() == one

    project.commit("Two")
    drift = project.ask("verify", ok=False)
    assert "champion.json: wrong production" in drift
    assert f"'production' would move from {one[:8]} (v0) to {two[:8]}" in project.ask("promote", "--dry")
    assert "mend       dvc-wandb promote\n" in drift
    assert f"{two[:8]} is production now, in champion.json" in project.ask("promote")
    assert project.held() == two
    project.ask("verify")

    # An old commit is held against its own record: that main went on is no difference
    project.git("push", "--quiet")
    for back in (("checkout", "--quiet", "HEAD~1"), ("checkout", "--quiet", "-B", "main", "HEAD")):
        project.git(*back)
        project.run("dvc", "checkout", "--quiet")
        assert f"champion.json names {TARGET} {one[:8]}" in project.ask("verify")
    project.git("reset", "--quiet", "--hard", "main@{1}")
    project.run("dvc", "checkout", "--quiet")

    project.git("revert", "--no-edit", "HEAD")
    project.run("dvc", "checkout", "--quiet")
    assert f"{one[:8]} is production now" in project.ask("mirror")  # by itself: git has it after that commit
    assert project.held() == one
    project.ask("verify")
    assert "tell the same story" in project.ask("history", "Best")


@pytest.mark.soak
def test_what_is_tried_on_main_is_undone_whole_by_git_checkout(project: Project):
    one = project.recorded
    project.write("two")
    project.ask("mirror")
    project.git("checkout", "--quiet", ".")
    project.run("dvc", "checkout", "--quiet")
    project.ask("mirror")
    assert "agree" in project.ask("verify")
    assert project.held() == one


@pytest.mark.soak
def test_a_fresh_clone_moves_the_alias_of_its_own_registry(project: Project, tmp_path: Path):
    fresh = project.cloned(tmp_path / "fresh")
    fresh.run("dvc", "repro", "--quiet")
    assert f"{project.recorded[:8]} is production now" in fresh.ask("mirror")
    assert fresh.held() == fresh.recorded == project.recorded
    assert fresh.git("status", "--porcelain") == ""
    fresh.run("wandb-registry", "stop")


def test_of_two_clones_that_promote_one_pushes_and_git_tells_the_other(project: Project, colleague: Project):
    project.write("two")
    project.commit("Two")
    colleague.write("three")
    colleague.commit("Three")
    project.git("push", "--quiet")
    project.ask("promote")
    two = project.recorded
    assert "rejected" in colleague.run("git", "push", ok=False).text
    for words, ok in ((("promote",), False), (("mirror",), True), (("verify",), False)):
        told = colleague.ask(*words, ok=ok)
        assert "git pull" in told, told
        assert colleague.held() == two
    assert "would stay where it is: in the registry" in colleague.ask("promote", "--dry")

    assert "CONFLICT" in colleague.run("git", "pull", "--no-rebase", ok=False).text
    colleague.git("checkout", "--theirs", "--", ".")
    colleague.run("dvc", "repro", "--quiet")
    colleague.commit("Theirs was first")
    colleague.git("push", "--quiet")
    assert "is production, in champion.json" in colleague.ask("promote")
    project.git("pull", "--quiet")
    for clone in (project, colleague):
        clone.ask("verify")
        assert "tell the same story" in clone.ask("history", "Best")  # so it moved once to each
    assert project.held() == two == colleague.recorded


@pytest.mark.soak
def test_a_revert_is_not_undone_by_a_clone_that_has_not_pulled_it(project: Project, tmp_path: Path):
    one, two = project.recorded, project.decide("two")
    project.git("push", "--quiet")
    colleague = project.cloned(tmp_path / "theirs", REGISTRY_DIR=str(project.path / ".registry"))
    project.git("revert", "--no-edit", "HEAD")
    project.git("push", "--quiet")
    project.run("dvc", "checkout", "--quiet")
    project.ask("promote")
    colleague.run("dvc", "repro", "--quiet")
    assert "`git pull` first" in colleague.ask("promote", ok=False)
    colleague.git("fetch", "--quiet")  # knows of the commit, and has not taken it over
    assert "`git pull` first" in colleague.ask("mirror")
    assert project.held() == one
    colleague.git("pull", "--quiet")
    colleague.run("dvc", "repro", "--quiet")
    assert f"{one[:8]} is production, in champion.json" in colleague.ask("promote")
    assert two not in colleague.read("champion.json")


@pytest.mark.soak
def test_a_click_is_told_and_git_or_the_registry_gives_way(project: Project):
    one, two = project.recorded, project.decide("two")
    project.click(one)
    assert "`dvc-wandb promote` makes the registry follow git" in project.ask("mirror")
    assert project.held() == one  # though git had it before two
    assert "mend       dvc-wandb promote, or dvc-wandb promote --from registry" in project.ask("verify", ok=False)
    followed = project.ask("promote")
    assert re.search(rf"{two[:8]} is production now, .*; it was {one[:8]} \(v0\), put there by root at 20", followed)
    assert project.held() == two
    project.ask("verify")

    project.click(one)
    assert COMMIT_IT in project.ask("promote", "--from", "registry")
    assert project.held() == one == project.recorded
    assert project.record["reason"] == "moved in the registry by root"
    assert COMMIT_IT in project.ask("verify", ok=False)  # git has two still
    project.commit("As clicked")
    project.ask("promote")
    project.ask("verify")
    three = project.decide("three")
    assert project.held() == three


@pytest.mark.soak
def test_a_person_decides_with_a_reason_and_rolls_back(project: Project):
    one, two = project.recorded, project.decide("two")
    assert f"would name {one[:8]} instead of {two[:8]}" in project.ask("promote", "--dry", "--version", "v0")
    assert "say why" in project.ask("promote", "--version", "v0", ok=False)
    assert "has no version or alias 'v9' in the registry. It has v0, v1" in project.ask(
        "promote", "--version", "v9", "--reason", "x", ok=False
    )
    assert COMMIT_IT in project.ask("rollback", "--reason", "customers complained")
    assert project.held() == two
    assert project.record["only_by_person"] == [
        {"model_md5": two, "how": f"was rolled back by a person to {one[:8]} (customers complained)"}
    ]
    project.commit("Back")
    project.ask("promote")
    assert project.held() == one
    assert "person: customers complained" in project.ask("history", "Best")
    assert "no model before this one" in project.ask("rollback", ok=False)
    assert COMMIT_IT in project.ask("promote", "--version", "v1", "--reason", "after all")
    assert project.record["only_by_person"] == [
        {"model_md5": one, "how": f"was replaced by a person with {two[:8]} (after all)"}
    ]
    assert "git has that in champion.json already" not in project.ask("promote")


@pytest.mark.soak
def test_a_commit_that_was_written_anew_holds_nothing_up(project: Project):
    project.decide("two")
    project.git("commit", "--quiet", "--amend", "--message", "Two, in other words")
    three = project.write("three")
    project.git("commit", "--quiet", "--all", "--amend", "--message", "Three instead")
    project.ask("promote")
    assert project.held() == three


@pytest.mark.soak
def test_a_commit_that_is_nowhere_any_more_is_left_by_following_the_registry(project: Project, colleague: Project):
    two = project.decide("two")
    colleague.write("three")
    colleague.commit("Three")
    assert "`dvc-wandb promote --from registry` makes git follow" in colleague.ask("promote", ok=False)
    colleague.ask("promote", "--from", "registry")
    colleague.commit("As in the registry")
    colleague.ask("promote")
    assert colleague.held() == two
    assert colleague.decide("four") == colleague.held()


@pytest.mark.parametrize(
    ("where", "because"),
    [
        (("checkout", "-q", "-b", "side"), "this is the branch side, not main"),
        (("checkout", "-q", "--detach"), "this is a checkout without a branch, not main"),
    ],
    ids=["branch", "detached"],
)
@pytest.mark.soak
def test_elsewhere_the_alias_stays(project: Project, where: tuple[str, ...], because: str):
    one = project.recorded
    project.git(*where)
    two = project.write("two")
    project.commit("Two")
    assert f"names {TARGET} {two[:8]}; the alias 'production' stays where it is: {because}" in project.ask("promote")
    assert f"'production' would stay where it is in the registry: {because}" in project.ask("promote", "--dry")
    project.ask("mirror")
    noted = project.ask("verify")
    assert f"names {TARGET} {two[:8]}, and in the registry {one[:8]} (v0) is production: {because}." in noted
    assert project.held() == one


@pytest.mark.soak
def test_a_registry_that_is_away_learns_of_it_later(project: Project):
    one, two = project.recorded, project.write("two")
    project.commit("Two")
    assert "the registry was not told" in project.ask("promote", ok=False, env=NOBODY)
    for words in (("--version", "v0", "--reason", "x"), ("--from", "registry")):
        refused = project.ask("promote", *words, ok=False, env=NOBODY)
        assert "only the registry knows which model that is. Nothing was changed" in refused
    assert f"{two[:8]} is production now" in project.ask("promote")
    assert COMMIT_IT in project.ask("rollback", env=NOBODY)  # needs git alone
    assert project.recorded == one


@pytest.mark.soak
def test_a_record_that_cannot_be_read_is_restored_by_what_the_message_says(project: Project):
    good = project.read("champion.json")

    def mend(told: str) -> None:
        (command,) = re.findall(r"mend +(git .*)", told)
        subprocess.run(command, shell=True, cwd=project.path, env=project.env, check=True, capture_output=True)
        assert project.read("champion.json") == good
        project.ask("verify")

    (project.path / "champion.json").write_text("<<<<<<< HEAD\n")
    mend(project.ask("verify", ok=False))
    (project.path / "champion.json").write_text("<<<<<<< HEAD\n")
    project.git("commit", "--quiet", "--all", "--message", "With the marks of a conflict")
    mend(project.ask("verify", ok=False))
    assert project.git("status", "--porcelain") == ""


@pytest.mark.soak
def test_a_project_without_git_decides_and_moves_nothing(project: Project):
    (project.path / ".git").rename(project.path / ".no-git")
    (project.path / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    project.write("two")
    assert "it follows what is committed, and there is no git repository here" in project.ask("promote")
    assert "would stay as it is" in project.ask("promote", "--dry")
    assert "not a git repository" in project.ask("rollback", ok=False)


# ---- the team: docs/remotes.md ----


@pytest.fixture
def shared(project: Project, tmp_path: Path) -> Project:
    """A model that doesn't pass came after the one in production; the remote is set up last."""
    project.write("bad")
    project.commit("A bad one")
    project.run("dvc", "remote", "add", "--default", "team", str(tmp_path / "team"))
    project.commit("Share data through a folder")
    return project


@pytest.mark.soak
def test_a_colleagues_registry_gets_production_of_an_earlier_commit_from_the_remote_of_today(
    shared: Project, tmp_path: Path
):
    shared.run("dvc", "push")
    assert "pushed 1 file of" in shared.ask("push")
    shared.git("push", "--quiet")
    colleague = shared.cloned(tmp_path / "theirs")
    assert "md5" in colleague.ask("get", "Best:production", "-o", "got")
    assert colleague.read("got") == "one"
    colleague.run("rm", "-rf", ".dvc/cache", ".registry", "got")
    colleague.run("dvc", "pull")
    colleague.ask("mirror")
    assert colleague.held() == colleague.recorded == shared.recorded
    assert colleague.api().artifact("best/model.txt:latest").version == "v0"  # the newest, though logged first
    assert "agree" in colleague.ask("verify")
    assert colleague.git("status", "--porcelain") == ""
    colleague.run("wandb-registry", "stop")


def test_production_that_nobody_pushed_is_told_once_with_who_may_have_it(shared: Project, tmp_path: Path):
    lacks = f"DVC's remote lacks {TARGET} {shared.recorded[:8]}, which is production: `dvc-wandb push` brings it."
    shared.run("dvc", "push")
    assert lacks in shared.ask("mirror")
    shared.git("push", "--quiet")
    colleague = shared.cloned(tmp_path / "theirs")
    colleague.run("dvc", "pull")
    told = colleague.ask("mirror")
    author = shared.git("log", "-1", "--format=%an").strip()
    assert told.count(f"{author}, who made the commit {shared.git('rev-list', '--max-parents=0', 'HEAD')[:10]}") == 1
    assert "`dvc-wandb push` there brings it into the DVC remote." in told
    noted = colleague.ask("verify")
    assert "note: champion.json names" in noted
    assert "agree" in noted
    assert "`dvc-wandb push`" in colleague.ask("promote", ok=False)
    assert f"nor DVC's remote has {shared.recorded[:8]}, which is or was in production" in colleague.ask("push")
    assert "`dvc-wandb push`" in colleague.ask("get", "Best:production", "-o", "got", ok=False)
    assert colleague.held() is None

    shared.ask("push")
    assert "remote lacks" not in shared.ask("mirror")
    assert "mend       dvc-wandb mirror\n" in colleague.ask("verify", ok=False)  # it can be had now
    colleague.ask("promote")
    assert colleague.held() == shared.recorded
    colleague.ask("verify")
    colleague.run("wandb-registry", "stop")
