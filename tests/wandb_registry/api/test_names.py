"""A name that is accepted works to the end: API, pages, downloads. Any other is refused in a sentence."""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
import pytest
import wandb
from wandb.errors import CommError

from tests.wandb_registry.api.test_pages import Browser
from tests.wandb_registry.conftest import Registry
from wandb_registry import daemon

QUIET = wandb.Settings(console="off")
ODD = (
    "a..",
    ".hidden",
    "100%",
    "a%2Fb",
    "a\\b",
    "line\nend",
    "\n",
    " a ",
    "é" * 100,
    "שלום",
    "\u202eabc",
    "a#b?c&d",
    "*",
)


@pytest.fixture(scope="module")
def browser(registry: Registry) -> Browser:
    url = daemon.login_url(registry.store)
    assert url
    return Browser(url)


def test_keys_of_any_name_reach_charts_media_and_files(registry: Registry, browser: Browser, tmp_path):
    """A picture whose key had a line end was lost: its upload met no route."""
    with registry.run("odd-keys", settings=QUIET, config=dict.fromkeys(ODD, 1)) as run:
        run.log(dict.fromkeys(ODD, 1.5) | {f"img/{key}": wandb.Image(np.zeros((2, 2), "uint8")) for key in ODD})
    found = registry.api().run(f"odd-keys/{run.id}")
    row = next(iter(found.scan_history()))
    assert {key: (row[key], found.config[key]) for key in ODD} == dict.fromkeys(ODD, (1.5, 1))
    address = f"{registry.url}/local/odd-keys/runs/{run.id}"
    assert all(browser.open(f"{address}{tab}") for tab in ("", "/charts", "/media", "/files"))
    pictures = [file for file in found.files() if file.name.startswith("media/")]
    assert len(pictures) == len(ODD)
    for file in pictures:
        with file.download(str(tmp_path)) as downloaded:
            assert downloaded.name.endswith(".png")
        assert browser.open(f"{address}/files/{quote(file.name)}")


def test_a_value_with_an_odd_type_is_kept_and_its_run_opens(registry: Registry, browser: Browser):
    """The page of such a run, and of its project, ended in a fault."""
    with registry.run("odd-types", settings=QUIET) as run:
        run.log({"a": 1, "t": {"_type": 5}, "u": {"_type": None}, "v": {"_type": ["x"]}, "w": {"_type": {"y": 1}}})
    found = registry.api().run(f"odd-types/{run.id}")
    assert next(iter(found.scan_history()))["v"] == {"_type": ["x"]}
    assert set(found.history_keys["keys"]) == {"a", "_timestamp", "_runtime", "_step"}
    for page in ("", f"/runs/{run.id}", f"/runs/{run.id}/media", f"/runs/{run.id}/charts"):
        assert browser.open(f"{registry.url}/local/odd-types{page}")


@pytest.mark.parametrize("name", ["a..", ".hidden", "a b", "é" * 90, "שלום", "\u202eabc", "a&b+c"])
def test_projects_and_runs_of_these_names_open(registry: Registry, browser: Browser, name: str):
    with registry.run(name, id=name, settings=QUIET) as run:
        run.log({"a": 1})
    assert [row["a"] for row in registry.api().run(f"local/{name}/{name}").scan_history()] == [1]
    address = f"{registry.url}/local/{quote(name)}"
    for page in (address, f"{address}/runs/{quote(name)}", f"{address}/runs/{quote(name)}/files/config.yaml"):
        assert browser.open(page)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "can't be '.': in an address"),
        ("..", "can't be '..': in an address"),
        ("x" * 129, "at most 128 are allowed"),
        ("a\nb", r"'a\nb' may not hold control characters"),
    ],
)
def test_names_that_no_address_can_hold_are_refused_at_once(registry: Registry, name: str, said: str):
    """A project '.' was made, and its first run didn't end: its stream had no address."""
    make = "upsertBucket(input: {modelName: $project, name: $run}) { inserted }"
    ask = f"mutation U($project: String, $run: String) {{ {make} }}"
    for names in ({"project": name, "run": "r"}, {"project": "sound", "run": name}):
        refused = registry.ask(ask, **names)
        message = refused.json()["errors"][0]["message"]
        assert (refused.status, said in message, "\n" in message) == (400, True, False), message
    with registry.run("sound", id="of-alias", settings=QUIET) as run, pytest.raises(ValueError, match="Alias"):
        registry.log_file(run, "weights", "x", aliases=[name])


@pytest.mark.parametrize("name", ["runs", "sweeps"])
def test_a_project_that_the_sdk_would_not_find_again_is_refused(registry: Registry, name: str):
    with pytest.raises(CommError, match=f"Project can't be '{name}'"):
        wandb.init(project=name, entity=registry.entity)
