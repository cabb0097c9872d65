"""What may be called what. Each refusal quotes the name and says what is allowed."""

import re

from wandb_registry.errors import BadInput

LONGEST = 128
VERSION = re.compile(r"v\d+")
TAG = re.compile(r"[-\w]+( +[-\w]+)*")
TYPE = re.compile(r"[-\w]+([ ]*[-.\w]+)*")
ENTITY = re.compile(r"[A-Za-z0-9][-\w.]*")
INTERNAL_TYPES = ("job", "run_table", "code")
# The first parts of the registry's own addresses: no entity's page could have them
ADDRESSES = {
    "activity", "artifacts", "artifactsv2", "authorize", "files", "graphql", "healthz", "live", "login", "logout",
    "metrics", "oidc", "orgs", "ready", "readyz", "registry", "sdk", "search", "settings", "static", "storage",
    "theme", "usage",
}  # fmt: skip
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def project(name: str) -> str:
    return _check("Project", name, r"/\#?%:")


def run(name: str) -> str:
    _check("Run id", name, r"/\#?%:'")
    if name != name.strip():
        raise BadInput(f"Run id '{name}' may not begin or end with a blank: the SDK leaves it out of addresses.")
    return name


def collection(name: str) -> str:
    return _check("Artifact name", name, "/:")


def alias(name: str) -> str:
    _check("Alias", name, "/:")
    if VERSION.fullmatch(name):
        raise BadInput(f"Alias '{name}' is reserved for version numbers. Choose a word, such as 'candidate'.")
    return name


def artifact_type(name: str) -> str:
    _check("Artifact type", name, "/:")
    if not TYPE.fullmatch(name):
        raise BadInput(
            f"Artifact type '{shown(name)}' may hold letters, digits, '-', '_', '.' and spaces between words."
        )
    return name


def is_internal_type(name: str) -> bool:
    """Types of the versions that the SDK logs by itself."""
    return name in INTERNAL_TYPES or name.startswith("wandb-")


def tag(name: str) -> str:
    if len(name) > LONGEST or not TAG.fullmatch(name):
        raise BadInput(
            f"Invalid tag '{shown(name)}': a tag has at most {LONGEST} letters, digits, '-', '_' and spaces between "
            "words."
        )
    return name


def entity(name: str) -> str:
    """A user, team or organization."""
    if name.lower() in ADDRESSES:
        raise BadInput(
            f"'{name}' can't be the name of an account, a team or an organization: it is an address of the registry."
        )
    if len(name) > LONGEST or not ENTITY.fullmatch(name):
        raise BadInput(
            f"'{shown(name)}' can't be the name of an account, a team or an organization: use letters, digits, '-', "
            f"'_' and '.', at most {LONGEST}, beginning with a letter or digit."
        )
    return name


def slug(name: str, fallback: str) -> str:
    """The nearest name that `entity` allows."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_") or fallback


def _check(what: str, name: str, forbidden: str) -> str:
    if not name.strip():
        raise BadInput(f"{what} can't be empty.")
    if len(name) > LONGEST:
        raise BadInput(f"{what} '{shown(name)}' has {len(name)} characters; at most {LONGEST} are allowed.")
    if name in (".", ".."):
        raise BadInput(f"{what} can't be '{name}': in an address it means another folder. Choose a word.")
    if CONTROL.search(name) or any(character in forbidden for character in name):
        raise BadInput(f"{what} '{shown(name)}' may not hold control characters or any of {' '.join(forbidden)}")
    return name


def shown(name: str) -> str:
    """The name as a sentence quotes it: on its line, and not too long."""
    cut = f"{name[:20]}…" if len(name) > LONGEST else name
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], cut)
