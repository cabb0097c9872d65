"""The page of a request: who asked for what, on what the decision rests, and who decides."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import wandb
from PIL import Image

from tests.wandb_registry.accounts.approving import PROTECT, REQUEST, Team
from tests.wandb_registry.by_hand import data
from tests.wandb_registry.conftest import Account, _cookies, signed_in


def opened(who: Account, address: str, form: dict[str, str] | None = None) -> str:
    """A page as somebody sees it, or what a form leads to."""
    cookies = urllib.request.HTTPCookieProcessor(_cookies(who.url, who.key))
    opener = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))
    body = urllib.parse.urlencode(form).encode() if form else None
    try:
        with opener.open(who.url + address, data=body, timeout=60) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def sent(who: Account, address: str, **form: str) -> str:
    """What a form of a page leads to."""
    token = opened(who, address).split('name="token" value="')[1].split('"')[0]
    return opened(who, address, {"token": token, **form})


def test_a_click_becomes_a_request_that_the_page_lets_another_person_decide(team: Team):
    model = f"/registry/model?selectionPath=local%2Fmodel-registry%2F{team.model}"
    version = f"{model}&view=membership&version=v1"
    asked = f"{model}&view=request"
    assert "Nobody asked yet." in team.registry.page(asked)
    assert "by a second person" not in team.registry.page(model)
    sent(team.jon, asked, do="require", alias="production")
    shown = sent(team.jon, version, do="add-alias", alias="production")
    assert "jon asked for production on v1." in shown
    assert "waits for a second person" in shown
    assert team.production() == "v0"
    number = team.ask(team.bo)["number"]  # bo asks too: another request, which replaces jon's
    assert "You asked for this" in opened(team.bo, asked)
    refused = sent(team.ana, asked, do="approve", request=str(number), reason="")
    assert "Say why it is approved" in refused
    shown = sent(team.ana, asked, do="approve", request=str(number), reason="it holds")
    assert "“it holds”" in shown
    assert team.production() == "v1"
    assert "ana approved <strong>production on v1</strong> (asked by bo: it holds)" in team.registry.page(model)
    assert "Undo" not in team.registry.page(model).partition("approved")[0]


def test_what_the_request_does_not_show_is_counted(team: Team, tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(10):
        Image.new("L", (1, 1), number).save(pictures / f"{number}.png")
    with signed_in(team.registry, tmp_path), team.registry.run("evidence") as run:
        record = wandb.Artifact("record", "record")
        record.add_dir(str(pictures))
        run.log_artifact(record).wait()
        run.log({"seen": [wandb.Image(Image.new("L", (1, 1), number)) for number in range(14)]})
    team.ask(team.jon, record="local/evidence/record:v0")
    page = team.registry.page(f"/registry/model?selectionPath=local%2Fmodel-registry%2F{team.model}&view=request")
    assert page.count("<figure") == 8 + 12
    assert "2 more of what it made and logged" in page
    assert re.search(
        r'12 of 14 files of seen are shown.\s*<a href="/local/evidence/runs/\w+/media\?key=seen">All 14</a>', page
    )


def test_the_request_shows_what_the_decision_rests_on(team: Team):
    facts = {
        "decision": "right on 12 more <digits>",
        "decided_by": "gate",
        "commit": "7c41e09d52",
        "committed_by": "jon",
    }
    asked = team.ask(
        team.jon, reason="gate", **facts, numbers={"p_value": 0.0227, "gain": {"all": 0.01}}, record="a/b/c:d"
    )
    page = team.registry.page(f"/registry/model?selectionPath=local%2Fmodel-registry%2F{team.model}&view=request")
    for text in (
        "right on 12 more &lt;digits&gt;",
        "the gate",
        "p_value",
        "0.0227",
        "gain.all",
        "7c41e09d52",
        "by jon",
    ):
        assert text in page
    other = team.registry.page(
        f"/registry/model?selectionPath=local%2Fmodel-registry%2F{team.model}&view=request&request={asked['number']}"
    )
    assert "Approve" in other
    broken = team.jon.ask(REQUEST, name=team.model, version="v2", reason="", facts="[]")
    assert "JSON object" in broken.text


def test_the_request_says_who_may_decide_and_who_uses_what_is_in_production(team: Team, tmp_path: Path):
    team.ask(team.jon)
    address = f"/registry/model?selectionPath=local%2Fmodel-registry%2F{team.model}&view=request"

    def who() -> str:
        section = re.search(
            r'<section class="panel" id="who".*?</section>', team.registry.page(address), flags=re.DOTALL
        )
        assert section
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section[0])).replace("&#39;", "'")

    assert re.search(r"May decide ana, bo, (\S+, )*root Can’t", who())
    assert "'jon' asked for this, so somebody else has to decide." in who()
    assert "'robot' is a service account." in who()
    assert "Uses v0 no run that you may see" in who()
    with signed_in(team.registry, tmp_path), team.registry.run("serving") as run:
        run.use_artifact(f"local/model-registry/{team.model}:production")
    assert re.search(r"Uses v0 1 run of \w+, the last on", who())

    data(team.registry.ask(PROTECT, aliases=["production"]))
    try:
        assert re.search(r"May decide root Uses v0", who())
    finally:
        team.registry.ask(PROTECT, aliases=[])
