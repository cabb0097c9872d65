"""The file of `serve --openid`: what can't be meant is refused at the start, in a sentence that names the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wandb_registry.conftest import command
from tests.wandb_registry.openid_place import make_team
from wandb_registry.errors import BadInput
from wandb_registry.openid.settings import read

PROVIDER = '[provider]\nissuer = "https://a.example"\nclient_id = "c"\n'
MACHINE = '[[machines]]\naccount = "ci"\nissuer = "https://a.example"\naudience = "https://r.example"\n'
REFUSED_FILES = {
    "": "names neither a [provider] nor [[machines]]",
    "[provider": "is not TOML",
    "[provider]\n": "'issuer' is a text, and is needed",
    PROVIDER: "has no [[access]]",
    PROVIDER + 'client_secret = "s"\n[[access]]\ngroup = "g"': "a secret stays out of the file. REGISTRY_OPENID_SECRET",
    PROVIDER + 'colour = "s"\n[[access]]\ngroup = "g"': "'colour' means nothing here. Known are issuer, ",
    PROVIDER + "key_days = 0\n[[access]]\ngroup = 'g'": "'key_days' is a whole number from 1 to 10000",
    PROVIDER + "access = 1\n": "'access' means nothing here",
    "access = 1\n" + PROVIDER: "'access' is a list, each of it begins with [[access]]",
    PROVIDER.replace("https", "http") + '[[access]]\ngroup = "g"': "is not over https",
    PROVIDER.replace("https://a", "a") + '[[access]]\ngroup = "g"': "is not an issuer",
    PROVIDER + '[[access]]\nteam = "t"': "access 1: 'group' is a text, and is needed",
    PROVIDER + '[[access]]\ngroup = "g"\nteam = "t"\nrole = "owner"': "'owner' is not a role",
    PROVIDER + '[[access]]\ngroup = "g"\nrole = "admin"': "a role is one in a team, and none is named",
    PROVIDER + '[[access]]\ngroup = "g"\nadmin = "yes"': "admin is true or false",
    MACHINE: "machines 1 has no claims: every token of the issuer would do",
    MACHINE + "claims = {repository = 1}": "'repository' is a text, or a list of texts",
    MACHINE + 'minutes = 3\nclaims = {repository = "a/b"}': "'minutes' is a whole number from 6 to 1440",
}
REFUSED_AT_THE_START = {
    "[provider": "is not TOML",
    PROVIDER + '[[access]]\ngroup = "g"\nteam = "nobodys"': "There is no team 'nobodys'",
    MACHINE + 'claims = {repository = "a/b"}': "There is no user 'ci'",
    MACHINE.replace('"ci"', '"lead"') + 'claims = {repository = "a/b"}': "'lead' is not a service account",
}


@pytest.mark.parametrize("text", REFUSED_FILES)
def test_a_file_that_cannot_be_kept_to_is_refused(tmp_path: Path, text: str):
    (tmp_path / "openid.toml").write_text(text)
    with pytest.raises(BadInput) as refused:
        read(tmp_path / "openid.toml")
    assert REFUSED_FILES[text] in str(refused.value)


def test_serve_refuses_teams_and_accounts_that_are_not_there(tmp_path: Path):
    make_team(tmp_path / "store")
    file = tmp_path / "openid.toml"
    for text, told in REFUSED_AT_THE_START.items():
        file.write_text(text)
        done = command(tmp_path / "store", "serve", "--openid", str(file))
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert told in done.stderr


def test_serve_refuses_a_file_that_is_not_there(tmp_path: Path):
    done = command(tmp_path / "store", "serve", "--openid", "/nowhere/openid.toml")
    assert done.returncode == 1
    assert done.stderr == "wandb-registry: /nowhere/openid.toml can't be read: No such file or directory.\n"
