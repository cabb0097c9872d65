"""The pages: who may see them, and that what the SDK prints opens something."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from urllib.parse import urlencode

import pytest

from tests.wandb_registry.conftest import Registry
from wandb_registry import daemon


class Browser:
    """Opens pages as a browser with a session would."""

    def __init__(self, login_url: str):
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.first = self.open(login_url)

    def open(self, url: str) -> str:
        with self.opener.open(url, timeout=10) as answer:
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            return answer.read().decode()


@pytest.fixture(scope="module")
def browser(registry: Registry) -> Browser:
    with registry.run("paged", name="<b>bold</b>", config={"lr": 0.1}) as run:
        version = registry.log_file(run, "weights", "one", aliases=["candidate"])
        run.link_artifact(version, "model-registry/Paged", aliases=["production"])
    url = daemon.login_url(registry.store)
    assert url
    return Browser(url)


def test_alerts_are_shown_on_the_page_of_the_run_and_of_its_project(registry: Registry, browser: Browser):
    """They were accepted and dropped."""
    with registry.run("alerting") as run:
        run.alert("Loss <b>", "It went\nup.", level="ERROR")
        for number in range(6):
            run.alert(f"Note {number}", "As expected.")
        run.alert("Note 5", "Told again.", wait_duration=3600)
        run.alert("Note 5", "Told once more.", wait_duration=0.001)
    for page in (f"{registry.url}/local/alerting/runs/{run.id}", f"{registry.url}/local/alerting/runs"):
        shown = browser.open(page)
        assert all(text in shown for text in ("Note 5", "Note 3", "5 of 9 alerts are shown."))
        assert "Note 0" not in shown
        whole = browser.open(f"{page}?all=alerts")
        assert '<span class="badge bad">ERROR</span> <strong>Loss &lt;b&gt;</strong>' in whole
        assert "<pre>It went\nup.</pre>" in whole
        assert whole.count("again within its <code>wait_duration</code>") == 1
    with registry.run("alerting", id=run.id):
        pass
    assert "Note 5" not in browser.open(f"{registry.url}/local/alerting/runs")


def test_what_a_project_was_made_with_is_shown_or_refused(registry: Registry, browser: Browser):
    """`repo` and `framework` were accepted and dropped."""
    make = "mutation M($input: UpsertModelInput!) { upsertModel(input: $input) { model { repo description } } }"
    given = {"name": "said", "entityName": "local", "description": "What it is for", "repo": "git@host:some/where.git"}
    assert registry.ask(make, input=given).json()["data"]["upsertModel"]["model"]["repo"] == given["repo"]
    shown = browser.open(f"{registry.url}/local/said")
    assert given["repo"] in shown
    assert given["description"] in shown
    refused = registry.ask(make, input=given | {"framework": "keras"}).json()
    assert "'framework' of a project" in refused["errors"][0]["message"]


def test_the_first_page_leads_to_all_runs(registry: Registry, browser: Browser):
    """Seven were shown, and nothing said that there are more."""
    start = 'upsertBucket(input: {modelName: "recent", name: $name, displayName: $name}) { inserted }'
    for number in range(60):
        assert registry.ask(f"mutation U($name: String) {{ {start} }}", name=f"recent{number}").status == 200
    first = browser.open(registry.url)
    assert re.search(r"7 of [\d,]+ runs are shown", first)
    assert ">recent52<" not in first
    pages = [browser.open(f"{registry.url}/?runs={number}") for number in (1, 2)]
    assert ">recent52<" in pages[0]
    assert ">recent0<" in pages[1]
    assert "Pages of runs" in pages[0]


def test_the_first_page_lists_models_with_aliases_and_projects(browser: Browser):
    assert "Paged</a>" in browser.first
    assert '<span class="chip alias production">production</span>' in browser.first
    assert 'href="/local/paged">paged</a>' in browser.first


def test_the_addresses_that_the_sdk_prints_open(registry: Registry, browser: Browser):
    api = registry.api()
    run = api.runs("paged")[0]
    links = [run.url, f"{registry.url}/local/paged", api.artifact("paged/weights:v0").url]
    links += [api.artifact("model-registry/Paged:v0").url, f"{registry.url}/registry/model"]
    for link in links:
        page = browser.open(link)
        assert any(name in page for name in ("Paged", "weights", "&lt;b&gt;bold"))


def test_wandbs_addresses_of_a_part_of_a_version_open(registry: Registry, browser: Browser):
    for section in ("overview", "metadata", "usage", "files"):
        shown = browser.open(f"{registry.url}/local/paged/artifacts/file/weights/latest/{section}")
        assert f'id="{section}"' in shown


def test_a_collection_whose_versions_were_all_deleted_has_a_page(registry: Registry, browser: Browser):
    with registry.run("emptied") as run:
        registry.log_file(run, "gone", "one").delete(delete_aliases=True)
    listed = browser.open(f"{registry.url}/local/emptied/artifacts")
    [address] = re.findall(r'href="(/local/emptied/artifacts/\w+/gone)"', listed)
    assert "or all were deleted. The next one is v1." in browser.open(registry.url + address)


def test_every_link_on_a_page_opens(registry: Registry, browser: Browser):
    seen, waiting = set(), ["/", "/local/paged"]
    while waiting and len(seen) < 25:
        address = waiting.pop()
        seen.add(address)
        found = re.findall(r'(?:href|src)="(/[^"]*)"', browser.open(registry.url + address))
        waiting += [link for link in found if link not in seen | set(waiting) and not link.startswith("/static")]
    assert len(seen) > 5


def test_what_users_write_stays_text(registry: Registry, browser: Browser):
    page = browser.open(f"{registry.url}/local/paged")
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>" not in page


def test_an_address_signs_in_once(registry: Registry):
    url = daemon.login_url(registry.store)
    assert url
    assert Browser(url).first
    again = registry.send("GET", url, signed_in=False)
    assert again.status == 403
    assert "was used already" in again.text


def test_who_is_not_signed_in_is_asked_to(registry: Registry):
    for address in ("/local/paged", "/local/nothing", "/registry/model?q=a"):
        answer = registry.send("GET", address, signed_in=False)
        assert (answer.status, answer.headers["location"]) == (303, "/login?" + urlencode({"next": address}))
    assert registry.send("GET", "/", signed_in=False).headers["location"] == "/login"


def test_a_key_signs_in(registry: Registry):
    right = registry.send("POST", "/login", f"key={registry.key}".encode(), signed_in=False)
    wrong = registry.send("POST", "/login", b"key=wrong", signed_in=False)
    assert (right.status, wrong.status) == (303, 403)
    assert "HttpOnly" in right.headers["set-cookie"]
    assert "No account has this key." in wrong.text


MD5S = ("1" * 32, "2" * 32)
RECORD = {"registered_model": "model-registry/Recorded", "model_md5": MD5S[1], "reason": "accuracy 0.97 ≥ 0.95"}


@pytest.fixture(scope="module")
def kept(registry: Registry, browser: Browser) -> Iterator[Callable[[str], str]]:
    """Writes a record beside the store, and shows the page of its registered model, whose v1 is in production."""
    with registry.run("kept") as run:
        for md5 in MD5S:
            version = registry.log_file(run, "weights", md5)
            run.link_artifact(version, "model-registry/Recorded", aliases=[f"dvc-{md5}", "production"])
    path = registry.store.parent / "production.json"

    def page(record: str) -> str:
        path.write_text(record)
        return browser.open(f"{registry.url}/registry/model?selectionPath=local%2Fmodel-registry%2FRecorded")

    yield page
    path.unlink()


def test_a_registered_model_says_that_git_and_the_registry_agree(kept: Callable[[str], str]):
    page = kept(json.dumps(RECORD))
    assert "git and the registry agree: production is <strong>v1</strong>" in page
    assert RECORD["reason"] in page


def test_a_registered_model_says_where_git_and_the_registry_differ(kept: Callable[[str], str]):
    page = kept(json.dumps(RECORD | {"model_md5": MD5S[0]}))
    assert "says v0, the registry says v1." in page
    assert "<code>dvc-wandb promote</code> makes the registry follow git" in page
    assert "<code>dvc-wandb promote --from registry</code> makes git follow the registry" in page
    assert "Compare v0 with v1" in page
    assert "says a model that isn&#39;t here, the registry says v1." in kept(json.dumps(RECORD | {"model_md5": "3"}))


@pytest.mark.parametrize(
    "record",
    ["", "{", "[" * 5000, "[]", '"x"', "{}", json.dumps(RECORD | {"model_md5": None, "reason": 1})]
    + [json.dumps(RECORD | {"registered_model": name}) for name in ("model-registry/Paged", ["x"], None)],
)
def test_a_record_that_is_broken_or_about_another_model_says_nothing(kept: Callable[[str], str], record: str):
    page = kept(record)
    assert "Recorded</h1>" in page
    assert 'id="sides"' not in page
