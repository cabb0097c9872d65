"""The public API: projects, runs by filter and order, users and teams, and clear words for what is left out."""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator

import pytest
import wandb
from wandb.errors import CommError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from tests.wandb_registry.conftest import Registry, records

MANY = 1_000
INSERT = """
insert into run (project_id, user_id, name, display_name, state, config, summary, tags, group_name, created_at)
select id, user_id, :name, :display_name, 'finished', :config, :summary, :tags, :group,
       strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-' || :number || ' minutes')
  from project
 where name = 'thousands'
"""


@pytest.fixture(scope="module")
def thousands(registry: Registry) -> Iterator[None]:
    """A project with thousands of runs, written behind the server's back: one by one they would take minutes."""
    registry.api().create_project("thousands", registry.entity)
    with records(registry.store) as db:
        db.executemany(INSERT, [row(number) for number in range(MANY)])
    yield
    with records(registry.store) as db:
        db.execute("delete from run where project_id = (select id from project where name = 'thousands')")


def row(number: int) -> dict[str, str | int | None]:
    blocks = [{"kind": "conv", "width": number % 5}, {"kind": "dense", "width": 10}]
    net = {"depth": number % 7, "layers": [number % 3, 64], "blocks": blocks}
    config = {"lr": {"value": number / MANY}, "net": {"value": net}}
    summary = json.dumps({"accuracy": number * 7919 % MANY / MANY, "f1.macro": number % 10})
    return {
        "number": number,
        "name": f"r{number}",
        "display_name": f"run {number}",
        "config": json.dumps(config | {"data.name": {"value": "mnist"}, "flag": {"value": number % 2 == 0}}),
        "summary": summary[:-1] + ', "odd": NaN}' if number % 100 == 0 else summary,
        "tags": json.dumps(["base"] if number % 3 else ["base", "third"]),
        "group": f"g{number % 4}" if number % 4 else None,
    }


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({"config.lr": {"$gte": 0.5, "$lt": 0.51}}, lambda n: 500 <= n < 510),
        ({"config.lr.value": {"$gt": 0.99}}, lambda n: n > 990),
        ({"config.net.depth": 3}, lambda n: n % 7 == 3),
        ({"config.net.layers": 2}, lambda n: n % 3 == 2),
        ({"config.net.layers": [2, 64]}, lambda n: n % 3 == 2),
        ({"config.net.layers": {"$size": 3}}, lambda n: False),
        ({"config.net.layers": {"$size": 2}}, lambda n: True),
        ({"config.net.depth": {"$size": 0}}, lambda n: False),
        ({"config.net.layers": {"$lt": 1}}, lambda n: n % 3 == 0),
        ({"config.net.layers": {"$elemMatch": {"$gt": 1, "$lt": 64}}}, lambda n: n % 3 == 2),
        ({"config.net.blocks": {"$elemMatch": {"kind": "conv", "width": {"$gte": 3}}}}, lambda n: n % 5 >= 3),
        ({"config.net.blocks": {"$elemMatch": {"$or": [{"width": 4}, {"kind": "pool"}]}}}, lambda n: n % 5 == 4),
        ({"config.net.blocks": {"$all": [{"$elemMatch": {"width": n}} for n in (2, 10)]}}, lambda n: n % 5 == 2),
        ({"tags": {"$elemMatch": {"$regex": "^th"}}}, lambda n: n % 3 == 0),
        ({"config.net.depth": {"$mod": [4, 2]}}, lambda n: n % 7 in (2, 6)),
        ({"summary_metrics.accuracy": {"$mod": [2, 0]}}, lambda n: True),
        ({"config.lr": {"$type": "double"}, "config.net": {"$type": "object"}}, lambda n: True),
        ({"config.flag": {"$type": ["number", "string"]}}, lambda n: False),
        ({"summary_metrics.odd": {"$type": "null"}}, lambda n: n % 100 == 0),
        ({"tags": {"$type": 4}, "group": {"$type": 2}}, lambda n: n % 4 > 0),
        ({"config.lr": {"$in": [float("nan"), 0.5]}}, lambda n: n == 500),
        ({"group": {"$in": [None, "g1"]}}, lambda n: n % 4 < 2),
        ({"config.data.name": "mnist"}, lambda n: True),
        ({"config.flag": True}, lambda n: n % 2 == 0),
        ({"config.missing": None}, lambda n: True),
        ({"config.missing": {"$ne": 3}}, lambda n: True),
        ({"config.missing": {"$exists": True}}, lambda n: False),
        ({"summary_metrics.f1.macro": {"$in": [1, 2]}}, lambda n: n % 10 in (1, 2)),
        ({"summary_metrics.f1.macro": {"$nin": [1, 2]}}, lambda n: n % 10 not in (1, 2)),
        ({"summary_metrics.odd": {"$exists": False}}, lambda n: True),
        ({"tags": "third"}, lambda n: n % 3 == 0),
        ({"tags": {"$all": ["third", "base"]}}, lambda n: n % 3 == 0),
        ({"tags": {"$nin": ["third"]}}, lambda n: n % 3 != 0),
        ({"group": None}, lambda n: n % 4 == 0),
        ({"$and": [{"group": "g1"}, {"$or": [{"name": "r5"}, {"displayName": "run 9"}]}]}, lambda n: n in (5, 9)),
        ({"$nor": [{"group": {"$exists": True}}, {"config.net.depth": {"$gt": 0}}]}, lambda n: n % 28 == 0),
        ({"display_name": {"$regex": "^run 2[0-9]{2}$"}}, lambda n: 200 <= n < 300),
        ({"display_name": {"$regex": "^RUN 2[0-9]{2}$", "$options": "i"}}, lambda n: 200 <= n < 300),
        ({"display_name": {"$contains": "n 29"}}, lambda n: str(n).startswith("29")),
        ({"config.lr": {"$not": {"$lt": 0.99}}}, lambda n: n >= 990),
        ({"config.lr": {"$gt": "text"}}, lambda n: False),
        ({"state": "finished", "username": "nobody"}, lambda n: False),
        ({"entity": "local", "duration": {"$gt": 59_000}}, lambda n: n > 983),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_filters_find_what_they_describe(registry: Registry, thousands: None, wanted: dict, passes):
    expected = {f"r{number}" for number in range(MANY) if passes(number)}
    found = registry.api().runs("thousands", filters=wanted, per_page=400)
    assert len(found) == len(expected)
    assert {run.id for run in found} == expected


def test_orders_sort_by_any_value_and_pages_lose_nothing(registry: Registry, thousands: None):
    api = registry.api()
    best = [run.id for run in api.runs("thousands", order="-summary_metrics.accuracy", per_page=300)]
    accuracy = {f"r{number}": number * 7919 % MANY for number in range(MANY)}
    assert best == sorted(accuracy, key=lambda name: -accuracy[name])
    assert [run.id for run in api.runs("thousands", per_page=50)[:60]] == [f"r{number}" for number in range(60)]
    newest = api.runs("thousands", order="-created_at", filters={"config.net.depth": 0})
    assert newest[0].id == f"r{(MANY - 1) // 7 * 7}"
    last = api.runs("thousands", order="+summary_metrics.absent", per_page=5)
    assert last[0].id == "r0", "runs without the value keep the order of creation"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"colour": "red"}, "Runs have no field 'colour'"),
        ({"config.lr": {"$near": 3}}, r"The filter operator '\$near' is not known here"),
        ({"name": {"$regex": "(?=r)"}}, "which has no lookaround"),
        ({"name": {"$regex": "("}}, "can't be read"),
        ({"name": {"$regex": "r", "$options": "q"}}, r"\$options stands beside a \$regex"),
        ({"$or": {"name": "a"}}, r"\$or takes a list"),
        ({"config.lr": {"$gt": [1]}}, "can't be compared with"),
        ({"config.lr": {"$mod": [0, 1]}}, r"\$mod takes a list of two numbers"),
        ({"config.lr": {"$type": "date"}}, "'date' is none"),
        ({"tags": {"$size": "2"}}, r"\$size takes a whole number"),
        ({"tags": {"$elemMatch": "base"}}, "A filter is a JSON object"),
        (json.loads('{"$and": [{"group": "g1"}, ' * 21 + '{"config.lr": 1}' + "]}" * 21), "nested too deeply"),
        ({"$or": [{"name": "a"}] * 600}, "more than 500 clauses"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_filter_that_cannot_be_answered_gets_a_sentence(registry: Registry, thousands: None, wanted: dict, said: str):
    with pytest.raises(WandbApiFailedError, match=said):
        len(registry.api().runs("thousands", filters=wanted))


ODD_KEYS = ['a"b', "a\\b", "a\nb", "größe", "דיוק", "😀", "a\u2028b", "\x7f"]


def test_runs_are_filtered_and_ordered_by_keys_of_any_name(registry: Registry):
    """A key with a backslash or a line end was never found, one with an umlaut not beside a NaN; a heading of the
    page of runs was refused for its quotation mark.
    """
    for number in (1, 2):
        odd = dict.fromkeys(ODD_KEYS, number)
        with registry.run("keys-of-any-name", id=f"r{number}", config={"nest": odd, **odd}) as run:
            run.log(odd | {"nan": float("nan")})
    api = registry.api()
    for key in ODD_KEYS:
        for path in (f"summary_metrics.{key}", f"config.{key}", f"config.nest.{key}"):
            assert [run.id for run in api.runs("keys-of-any-name", filters={path: 2})] == ["r2"], path
            assert [run.id for run in api.runs("keys-of-any-name", filters={path: {"$exists": False}})] == [], path
            assert [run.id for run in api.runs("keys-of-any-name", order=f"-{path}")] == ["r2", "r1"], path
        sort = urllib.parse.quote(f"-summary.{key}", safe="")
        page = registry.page(f"/local/keys-of-any-name/runs?sort={sort}")
        assert page.index("/runs/r2") < page.index("/runs/r1"), key


def test_a_filter_cannot_reach_beyond_its_project(registry: Registry, thousands: None):
    stranger = registry.user("filterer")
    with stranger.run("own", id="mine"):
        pass
    hostile = "') or 1=1 or ('"
    for wanted in (
        {"name": hostile},
        {f"config.{hostile}": 1},
        {"$nor": [{"name": "x"}]},
        {"name": {"$in": [hostile]}},
    ):
        assert {run.id for run in stranger.api().runs("own", filters=wanted)} <= {"mine"}


# ---- projects, users, teams ----


def test_projects_are_made_once_and_listed(registry: Registry):
    api = registry.api()
    api.create_project("made-here", registry.entity)
    api.create_project("made-here", registry.entity)
    assert [project.name for project in api.projects(registry.entity)].count("made-here") == 1
    assert api.project("made-here").entity == registry.entity
    assert registry.api().project("made-here").owner.username == registry.api().viewer.username
    with pytest.raises(ValueError, match="not found"):
        _ = api.project("never-made").id


def test_a_run_that_is_made_by_the_api_can_be_written_to(registry: Registry):
    made = registry.api().run("/".join(registry.api().create_run(project="by-api", entity=registry.entity).path))
    made.config["lr"] = 2
    made.summary["best"] = 3
    made.notes = "made by hand"
    made.group = "hand"
    made.update()
    found = registry.api().run(f"by-api/{made.id}")
    assert (found.config, found.summary["best"], found.notes, found.group) == ({"lr": 2}, 3, "made by hand", "hand")
    artifact = wandb.Artifact("from-api", "model")
    with artifact.new_file("a.txt") as file:
        file.write("a")
    artifact.save(project="by-api", settings=wandb.Settings(entity=registry.entity))
    artifact.wait()
    found.use_artifact(registry.api().artifact("by-api/from-api:v0"))
    assert [used.name for used in found.used_artifacts()] == ["from-api:v0"]


def test_files_of_a_run_are_listed_by_name_and_pattern_and_deleted(registry: Registry, tmp_path):
    for name in ("a.txt", "b.txt", "c.csv"):
        (tmp_path / name).write_text(name)
    found = registry.api().run("/".join(registry.api().create_run(project="files", entity=registry.entity).path))
    for name in ("a.txt", "b.txt", "c.csv"):
        found.upload_file(str(tmp_path / name), root=str(tmp_path))
    assert [file.name for file in found.files(per_page=1)] == ["a.txt", "b.txt", "c.csv"]
    assert [file.name for file in found.files(pattern="%.txt")] == ["a.txt", "b.txt"]
    assert [file.size for file in found.files(["c.csv"])] == [5]
    found.file("a.txt").delete()
    assert [file.name for file in registry.api().run("/".join(found.path)).files()] == ["b.txt", "c.csv"]


def test_the_viewer_is_the_account_of_the_key(registry: Registry):
    viewer = registry.user("looker").api().viewer
    assert (viewer.username, viewer.email, viewer.admin) == ("looker", "looker@localhost", False)
    assert viewer.teams == ["looker"]
    assert viewer.api_keys == ["look"]


def test_a_team_tells_its_members_and_an_unknown_one_has_none(registry: Registry):
    api = registry.api()
    assert [member.username for member in api.team(registry.entity).members] == [api.viewer.username]
    assert api.team("no-such-team").members == []
    assert registry.user("passerby").api().team(registry.entity).members == [], "nor does it have any for a stranger"


def test_a_custom_chart_is_made_once_and_replaced_by_its_name(registry: Registry):
    api, spec = registry.api(), {"mark": "bar", "data": {"name": "wandb"}}
    for display_name in ("Bars", "Better bars"):
        made = api.create_custom_chart(registry.entity, "bars", display_name, "vega2", "private", spec)
        assert made == f"{registry.entity}/bars"
    for name, wrong, why in [("a/b", spec, "no '/'"), ("bars", "[1]", "a JSON object"), ("bars", "{", "a JSON object")]:
        with pytest.raises((WandbApiFailedError, CommError), match=why):
            api.create_custom_chart(registry.entity, name, "Bars", "vega2", "private", wrong)


@pytest.mark.parametrize(
    ("ask", "name"),
    [
        (lambda api: list(api.reports("left-out")), "ProjectViews"),
        (lambda api: api.create_run_queue("q", "local-container", entity="local"), "CreateDefaultResourceConfig"),
        (lambda api: list(api.automations(entity="local")), "Automations"),
        (lambda api: list(api.integrations(entity="local")), "IntegrationsByEntity"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_left_out_says_so(registry: Registry, ask, name: str):
    registry.api().create_project("left-out", registry.entity)
    with pytest.raises((WandbApiFailedError, CommError), match=f"'.*{name}.*' is not supported by this registry"):
        ask(registry.api())
