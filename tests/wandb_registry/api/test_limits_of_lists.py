"""Lists of the pages that were cut in silence, or searched behind their limit: each says how many there are."""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.wandb_registry.api.test_limits import QUIET, page, upsert, way
from tests.wandb_registry.by_hand import data, log
from tests.wandb_registry.conftest import Registry

PROJECT = "lists"
BASE = f"/local/{PROJECT}"
SWEEP = """
mutation S($project: String!, $config: String!) {
  upsertSweep(input: {entityName: "local", projectName: $project, config: $config}) { sweep { name } } }
"""
SWEPT = """
mutation U($name: String!, $project: String!, $sweep: String!, $config: JSONString!, $summary: JSONString!) {
  upsertBucket(input: {name: $name, modelName: $project, entityName: "local", sweep: $sweep, config: $config,
                       summaryMetrics: $summary}) { bucket { id } } }
"""
LINK = """
mutation L($id: ID!) { linkArtifact(input: {artifactID: $id, entityName: "local", projectName: "model-registry",
  artifactPortfolioName: "Asked", aliases: []}) { versionIndex } }
"""
RULE = """
mutation Rule($alias: String!) { updateApprovalRule(input: {entityName: "local", projectName: "model-registry",
  artifactCollectionName: "Asked", alias: $alias, required: true}) { artifactCollection { name } } }
"""
ASK = """
mutation Ask($version: String!, $alias: String!) {
  requestPromotion(input: {entityName: "local", projectName: "model-registry", artifactCollectionName: "Asked",
    version: $version, alias: $alias, reason: "better", facts: "{}"}) { request { id } } }
"""
WITHDRAW = """
mutation Take($id: ID!) { decidePromotion(input: {id: $id, decision: WITHDRAW, reason: "no"}) { request { state } } }
"""
FILES = """
query F($id: ID!, $first: Int, $after: String) {
  artifact(id: $id) { files(first: $first, after: $after) { edges { cursor node { name } } } } }
"""
GONE = "mutation D($id: ID!) { deleteArtifact(input: {artifactID: $id, deleteAliases: true}) { artifact { id } } }"


def typed(values: dict[str, object]) -> str:
    """A run's config as the SDK sends it."""
    return json.dumps({key: {"value": value} for key, value in values.items()})


@pytest.fixture(scope="module")
def wide(registry: Registry) -> None:
    """Two runs with more columns than are offered at once, and with long values."""
    for number in range(2):
        config: dict[str, object] = {"words": f"{number} " + "long " * 200 + "END"}
        config |= {f"key{at:03}": at + number for at in range(130)}
        upsert(registry, f"wide{number}", PROJECT, config=typed(config))


def test_columns_that_are_not_offered_are_counted(registry: Registry, wide: None):
    text = page(registry, f"{BASE}/runs")
    assert 'value="config.key129"' not in text
    assert " of 131</span>" in text
    whole = page(registry, way(text, "100 of 131 columns are shown."))
    assert 'value="config.key129"' in whole
    chosen = "&".join(f"column=config.key{at:03}" for at in range(130))
    assert ">key129</a>" in page(registry, f"{BASE}/runs?{chosen}")


def test_a_list_that_is_sorted_by_as_many_columns_as_it_can_be_says_so(registry: Registry, wide: None):
    """A sixth was taken and did nothing."""
    for count, form in ((4, True), (5, False), (6, False)):
        text = page(registry, f"{BASE}/runs?{'&'.join(f'sort=config.key{at:03}' for at in range(count))}")
        assert ("A list is sorted by 5 columns at most" in text, 'name="then"' in text) == (not form, form)


@pytest.mark.parametrize("address", ["runs?column=config.words", "compare?run=wide0&run=wide1"])
def test_a_cell_that_is_cut_leads_to_all_of_its_text(registry: Registry, wide: None, address: str):
    text = page(registry, f"{BASE}/{address}")
    assert "END" not in text
    found = re.search(r'<a href="([^"]+wide0)" title="All 1,005 characters">0 long', text)
    assert found
    assert "END</dd>" in page(registry, found[1])


def test_runs_that_were_not_found_are_counted(registry: Registry, wide: None):
    named = "&".join(f"run=none{at}" for at in range(9))
    text = page(registry, f"{BASE}/compare?run=wide0&{named}")
    assert "9 runs not found: none0, none1, none2, none3, none4, none5 and 3 more." in text


def test_the_search_by_md5_has_all_versions_and_is_not_blind_behind_others(registry: Registry):
    """The first fifty were looked at, whoever's they were: a user's own could be behind those that she may not see."""
    for number in range(52):
        log(registry, PROJECT, f"same{number}", {"a": b"in all of them", "b": str(number).encode()})
    md5 = hashlib.md5(b"in all of them").hexdigest()
    text = page(registry, f"/search?q={md5}")
    assert text.count(f"md5 {md5}") == 50
    assert page(registry, way(text, "50 of 52 versions are shown.")).count(f"md5 {md5}") == 52
    mia = registry.user("mia")
    log(mia, "own", "mine", {"a": b"in all of them"})
    found = Registry(mia.url, mia.entity, mia.key, registry.store).page(f"/search?q={md5}")
    assert "<h1>mine:v0</h1>" in re.sub(r"<span[^>]*>|</span>", "", found)


def test_requests_of_a_model_are_counted_and_an_old_one_that_is_open_comes_first(registry: Registry):
    for number in range(3):
        data(registry.ask(LINK, id=log(registry, PROJECT, "asked", {"a": str(number).encode()})))
    for alias in ("staging", "production"):
        data(registry.ask(RULE, alias=alias))
    data(registry.ask(ASK, version="v0", alias="staging"))
    for number in range(105):
        last = data(registry.ask(ASK, version=f"v{1 + number % 2}", alias="production"))
    data(registry.ask(WITHDRAW, id=last["requestPromotion"]["request"]["id"]))
    address = "/registry/model?selectionPath=local/model-registry/Asked&view=request"
    text = page(registry, address)
    assert "waits for a second person" in text
    assert re.search(r'id="ask-head"><span[^>]*>staging<', text)
    assert text.count(">production on v") == 20
    assert page(registry, way(text, "20 of 106 requests are shown.")).count(">production on v") == 105
    asked = data(
        registry.ask(
            'query Q { project(name: "model-registry", entityName: "local") { artifactCollection(name: "Asked") '
            "{ promotionRequests { number } } } }"
        )
    )
    assert len(asked["project"]["artifactCollection"]["promotionRequests"]) == 106


def test_events_of_a_collection_without_versions_are_counted(registry: Registry):
    for number in range(8):
        data(registry.ask(GONE, id=log(registry, PROJECT, "emptied", {"a": str(number).encode()})))
    text = page(registry, f"{BASE}/artifacts/model/emptied")
    total = re.search(r"12 of (\d+) events are shown", text)
    assert total
    assert page(registry, way(text, f"{total[0]}.")).count("<li>") >= int(total[1]) > 12


def swept(registry: Registry, project: str, config: dict[str, object]) -> str:
    return data(registry.ask(SWEEP, project=project, config=json.dumps(config)))["upsertSweep"]["sweep"]["name"]


def trial(registry: Registry, project: str, sweep: str, name: str, loss: float, **config: object) -> None:
    given = {"config": typed(config), "summary": json.dumps({"loss": loss})}
    data(registry.ask(SWEPT, name=name, project=project, sweep=sweep, **given))
    ended = json.dumps({"complete": True, "exitcode": 0}).encode()
    sent = registry.send(
        "POST", f"/files/local/{project}/{name}/file_stream", ended, headers={"Content-Type": "application/json"}
    )
    assert sent.status == 200


SPACE = {
    "method": "random",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"kind": {"values": [f"kind{at}" for at in range(12)]}},
}


def test_values_that_no_importance_is_told_of_are_counted(registry: Registry):
    sweep = swept(registry, "kinds", SPACE)
    for number in range(16):
        trial(registry, "kinds", sweep, f"t{number}", number, kind=f"kind{11 - number % 12}")
    text = page(registry, f"/local/kinds/sweeps/{sweep}")
    assert "kind = kind11</th>" in text  # one of the most frequent, if the last by its name
    assert "kind = kind7</th>" not in text
    assert "Of kind the 8 most frequent of 12 values are told apart." in text


@pytest.mark.slow
def test_the_best_run_of_a_sweep_is_the_best_of_all(registry: Registry):
    """It was the best of the newest 500, and the list of sweeps named another value."""
    sweep = swept(registry, "large-sweep", SPACE)
    for number in range(503):
        trial(registry, "large-sweep", sweep, f"t{number}", number - 10, kind="kind0")
    text = page(registry, f"/local/large-sweep/sweeps/{sweep}")
    assert re.search(r'<dt>Best loss</dt>\s*<dd>−10 <small><a href="[^"]+/runs/t0">', text)
    assert "−10" in page(registry, "/local/large-sweep/sweeps")
    assert re.search(r'<td class="num faint">4</td>\s*<th scope="row" class="pin"><a href="[^"]+/runs/t3">', text)
    assert way(text, "500 of 503 runs are shown.").endswith(f"?sweep={sweep}")


def test_a_sweep_that_is_not_there_counts_all_others(registry: Registry):
    for _ in range(52):
        swept(registry, "many-sweeps", SPACE)
    with pytest.raises(HTTPError) as refused:
        page(registry, "/local/many-sweeps/sweeps/none")
    assert "and 46 more." in refused.value.read().decode()


@pytest.mark.parametrize("name", ["much.txt", "much.html", "much.csv"])
def test_the_beginning_of_a_file_says_how_large_it_is(registry: Registry, tmp_path: Path, name: str):
    (tmp_path / name).write_text("a,b\n" * 50_000)
    with registry.run(PROJECT, settings=QUIET) as run:
        run.save(str(tmp_path / name), base_path=str(tmp_path))
    text = html.unescape(page(registry, f"{BASE}/runs/{run.id}/files/{name}"))
    raw = re.search(r'This is the beginning of 200 kB. <a href="([^"]+)" download>Download all</a>', text)
    assert raw
    assert registry.page(raw[1]).count("a,b") == 50_000


@pytest.mark.slow
def test_a_list_that_is_too_long_for_one_answer_is_refused_unless_its_pages_are_asked_for(registry: Registry):
    """Its first 10,000 members came: without `first`, the SDK's documents look for no next page."""
    log(registry, PROJECT, "one-file", {"a": b"many times"})
    number = log(registry, PROJECT, "many-files", {f"{at:05}": b"many times" for at in range(10_001)})
    refused = registry.ask(FILES, id=number)
    assert (
        "more than 10,000 members: ask for pages of it, by 'first' and 'after'."
        in refused.json()["errors"][0]["message"]
    )
    some = data(registry.ask(FILES, id=number, first=10_000))["artifact"]["files"]["edges"]
    rest = data(registry.ask(FILES, id=number, after=some[-1]["cursor"]))["artifact"]["files"]["edges"]
    assert [len(some), [edge["node"]["name"] for edge in rest]] == [10_000, ["10000"]]
