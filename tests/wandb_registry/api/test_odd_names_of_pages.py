"""Names that only pages, accounts and searches use, with names that are odd, and pairs of names that are nearly one."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest

from tests.wandb_registry.api.test_odd_names import FEW, NAMES, PROJECT, Refused, asked, check, link, spellings, start
from tests.wandb_registry.by_hand import log
from tests.wandb_registry.conftest import Registry, _cookies

MORE = (
    "e\u0301",
    "\u00e9",
    "ABC",
    "abc",
    "a  b",
    "%00",
    "a+b",
    "a;b",
    "a,b",
    "none",
    "null",
    "-",
    "a=b",
    "\u2028",
    "𝔘",
    "()[]*?",
)
UPSERT = """
mutation U($project: String!, $run: String!, $group: String, $job: String) {
  upsertBucket(input: {modelName: $project, name: $run, groupName: $group, jobType: $job}) { bucket { id } } }
"""
PAIRS = [("e\u0301", "\u00e9"), ("ABC", "abc"), ("\u212b", "\u00c5"), ("ﬁ", "fi")]


def sent(registry: Registry, address: str, **form: str) -> str:
    """The page to which a form leads."""
    opener = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(_cookies(registry.url, registry.key)), urllib.request.ProxyHandler({})
    )
    token = registry.page(address).split('name="token" value="')[1].split('"')[0]
    body = urlencode({"token": token, **form}, errors="replace").encode()
    try:
        with opener.open(registry.url + address, data=body, timeout=60) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        told = re.search(r'(?s)role="alert">(.*?)</p>|<h1>[^<]*</h1>\s*<p>(.*?)</p>', text)
        raise Refused(error.code, html.unescape(told[1] or told[2]) if told else text) from None


def of_group(registry: Registry, name: str) -> None:
    asked(registry, UPSERT, project=PROJECT, run="grouped", group=name)
    assert registry.api().run(f"local/{PROJECT}/grouped").group == name
    page = registry.page(f"/local/{PROJECT}/runs/grouped")
    assert "/runs/grouped" in registry.page(link(page, name)).partition("<thead")[2]
    assert "/runs/grouped" in registry.page(f"/local/{PROJECT}/runs?by=group").partition("<thead")[2]
    found = [run.id for run in registry.api().runs(f"local/{PROJECT}", filters={"group": name})]
    assert found == ["grouped"]


def of_job_type(registry: Registry, name: str) -> None:
    asked(registry, UPSERT, project=PROJECT, run="employed", job=name)
    assert registry.api().run(f"local/{PROJECT}/employed").job_type == name
    where = urlencode({"where": f"job is {name}"})
    assert "/runs/employed" in registry.page(f"/local/{PROJECT}/runs?{where}").partition("<thead")[2]
    assert registry.page(f"/local/{PROJECT}/runs?by=job")


def of_metric(registry: Registry, name: str) -> None:
    start(registry, run="measured")
    rows = [json.dumps({name: at + 0.5, "x": at, "_step": at}) for at in range(3)]
    body = json.dumps({"files": {"wandb-history.jsonl": {"offset": 0, "content": rows}}}).encode()
    headers = {"Content-Type": "application/json"}
    answer = registry.send("POST", f"/files/local/{PROJECT}/measured/file_stream", body, headers=headers)
    assert answer.status == 200
    key = next(iter(registry.api().run(f"local/{PROJECT}/measured").history_keys["keys"].keys() & spellings(name)))
    asked_for = urlencode({"run": "measured", "metric": key})
    (chart,) = json.loads(registry.page(f"/local/{PROJECT}/series?{asked_for}"))["charts"]
    assert [line["run"] for line in chart] == ["measured"]
    assert "3 values by" in registry.page(f"/local/{PROJECT}/values?{asked_for}")
    head, *found = csv.reader(io.StringIO(registry.page(f"/local/{PROJECT}/values?{asked_for}&format=csv"), newline=""))
    assert (head[3], [row[3] for row in found]) == (key, ["0.5", "1.5", "2.5"])
    for query in ({"log": key}, {"metric": key}, {"toggle-log": key}, {"axis": key}):
        assert "data-metric" in registry.page(f"/local/{PROJECT}/runs/measured/charts?{urlencode(query)}")


def of_view(registry: Registry, name: str) -> None:
    start(registry, run="viewed")
    for whose, kind in (("", "view"), ("own", "own")):
        form = {"do": "save-view", "view": name, "whose": whose}
        sent(registry, f"/local/{PROJECT}/runs?where=id+is+viewed", **form)
        page = registry.page(f"/local/{PROJECT}/runs?view=")
        known = name.strip() if "\ud800" not in name else name.encode("utf-8", "replace").decode()
        address = link(page[page.index('id="views"') :], known.split("\n")[0] or known)
        assert kind in urllib.parse.parse_qs(urllib.parse.urlsplit(html.unescape(address)).query)
        assert "/runs/viewed" in registry.page(address).partition("<thead")[2]
        sent(registry, f"/local/{PROJECT}/runs?view=", do="drop-view", view=name, whose=kind if kind == "own" else "")


def of_user(registry: Registry, name: str) -> None:
    if "\0" in name or "\ud800" in name:
        raise Refused(400, "no command line can hold such a name")
    made = registry.command("user", "add", "--", name)
    if made.returncode:
        assert made.stderr.count("\n") == 1, made.stderr
        raise Refused(400, made.stderr.strip())
    assert registry.page(f"/{quote(name)}")
    assert f">{html.escape(name)}</th>" in registry.page("/settings")


def of_team(registry: Registry, name: str) -> None:
    make = "mutation T($name: String!) { createTeam(input: {teamName: $name}) { entity { name } } }"
    asked(registry, make, name=name)
    asked(registry, 'mutation U($e: String!) { upsertModel(input: {name: "p", entityName: $e}) { inserted } }', e=name)
    assert registry.page(f"/{quote(name)}/p")
    assert f"<h1>{html.escape(name)}</h1>" in registry.page(f"/{quote(name)}")


def of_chart(registry: Registry, name: str) -> None:
    make = """mutation C($name: String!) { createCustomChart(input: {entity: "local", name: $name, displayName: $name,
        type: "vega2", access: "PRIVATE", spec: "{}"}) { chart { id } } }"""
    assert asked(registry, make, name=name)["createCustomChart"]["chart"]["id"] == f"local/{name}"


def of_sweep(registry: Registry, name: str) -> None:
    make = """mutation S($config: String!, $project: String!, $name: String!) { upsertSweep(input: {config: $config,
        projectName: $project, displayName: $name}) { sweep { name displayName } } }"""
    config = json.dumps({"method": "random", "parameters": {"a": {"values": [1]}}})
    sweep = asked(registry, make, config=config, project=PROJECT, name=name)["upsertSweep"]["sweep"]
    assert registry.api().sweep(f"local/{PROJECT}/{sweep['name']}").name == name
    assert registry.page(link(registry.page(f"/local/{PROJECT}/sweeps"), name))


def of_search(registry: Registry, name: str) -> None:
    start(registry, run="sought", shown=f"before {name} after")
    assert (
        "/runs/sought" in registry.page(f"/search?{urlencode({'q': name.strip(), 'kind': 'runs'})}") or not name.strip()
    )


KINDS: tuple[Callable[[Registry, str], None], ...] = (
    of_group, of_job_type, of_metric, of_view, of_user, of_team, of_chart, of_sweep, of_search,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_few_odd_names_of_pages_work_or_are_refused(registry: Registry, kind: Callable[[Registry, str], None]):
    for name in FEW:
        check(registry, kind, name)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", [*NAMES, *MORE], ids=ascii)
def test_odd_names_of_pages_work_or_are_refused(registry: Registry, kind: Callable[[Registry, str], None], name: str):
    check(registry, kind, name)


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=ascii)
def test_names_that_look_alike_stay_two(registry: Registry, one: str, other: str):
    for name in (one, other):
        start(registry, project=f"alike-{name}", run=f"r-{name}", shown=name)
        log(registry, "alike", f"c-{name}", {f"{name}.txt": name.encode()}, aliases=("latest", name))
    for name, unlike in ((one, other), (other, one)):
        api = registry.api()
        assert [run.id for run in api.runs(f"local/alike-{name}")] == [f"r-{name}"]
        artifact = api.artifact(f"local/alike/c-{name}:{name}")
        assert [entry.path for entry in artifact.manifest.entries.values()] == [f"{name}.txt"]
        address = f"/local/alike/artifacts/model/{quote(f'c-{name}')}/{quote(name)}/raw/{quote(name)}.txt"
        assert registry.page(address) == name
        with pytest.raises(urllib.error.HTTPError, match="404"):
            registry.page(address.replace(f"raw/{quote(name)}", f"raw/{quote(unlike)}"))


def test_a_version_with_the_alias_compare_opens_at_its_address(registry: Registry):
    for number, alias in enumerate(("other", "compare", "third")):
        log(registry, PROJECT, "compared", {"a.txt": str(number).encode()}, aliases=("latest", alias))
    address = f"/local/{PROJECT}/artifacts/model/compared/compare"
    assert 'id="overview-head"' in registry.page(address)
    assert "Metrics" in registry.page(f"{address}?from=v0&to=v1")


@pytest.mark.parametrize("name", ["login", "Search", "files", "metrics"])
def test_no_account_and_no_team_takes_the_address_of_a_page(registry: Registry, name: str):
    """Such an entity was made, and had no page."""
    with pytest.raises(Refused, match="it is an address of the registry"):
        of_team(registry, name)
    with pytest.raises(Refused, match="it is an address of the registry"):
        of_user(registry, name)


def test_a_form_that_is_refused_says_why_on_any_page(registry: Registry):
    """Pages of sweeps and of runs came again without a word."""
    start(registry, run="viewed")
    with pytest.raises(Refused, match="A view has a name, of at most 100 characters"):
        sent(registry, f"/local/{PROJECT}/runs?view=", do="save-view", view="x" * 101)
    with pytest.raises(Refused, match="'nothing' is nothing that this page can do"):
        sent(registry, f"/local/{PROJECT}/runs?view=", do="nothing")
