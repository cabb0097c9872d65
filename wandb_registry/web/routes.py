"""The pages: each address that a person or the SDK's printed links may open, and the view that answers it."""

from starlette.routing import Route

from wandb_registry.web.live_updates import LiveUpdates
from wandb_registry.web.pages import artifacts, home, keys, lineage, models, run, run_comparison, runs
from wandb_registry.web.pages.session import Session
from wandb_registry.web.shell import Shell, static

VERSION = "/{entity}/{project}/artifacts/{type}/{collection}/{version}"
METHODS = ["GET", "POST"]


def routes(shell: Shell, live: LiveUpdates) -> list[Route]:
    session = Session(shell)
    page = shell.page
    return [
        Route("/", page(home.home)),
        Route("/static/{name}", static),
        Route("/login", session.login, methods=METHODS),
        Route("/login/token", session.login_token, methods=["POST"]),
        Route("/logout", session.logout, methods=["POST"]),
        Route("/authorize", page(keys.show, keys.make), methods=METHODS),
        Route("/theme", session.theme, methods=["POST"]),
        Route("/search", page(home.search)),
        Route("/live", live.stream),
        # registered models, as W&B addresses them
        Route("/registry/model", page(models.show, models.change), methods=METHODS),
        Route("/orgs/{org}/registry/{name}", page(models.show, models.change), methods=METHODS),
        Route("/{entity}/registry/model", page(models.show, models.change), methods=METHODS),
        # artifacts
        Route("/{entity}/{project}/artifacts", page(artifacts.types)),
        Route("/{entity}/{project}/artifacts/{type}", page(artifacts.types)),
        Route("/{entity}/{project}/artifacts/{type}/{collection}", page(artifacts.newest)),
        Route("/{entity}/{project}/artifacts/{type}/{collection}/compare", page(artifacts.compared)),
        Route(VERSION, page(artifacts.version, artifacts.change), methods=METHODS),
        Route(VERSION + "/files/{path:path}", page(artifacts.file)),
        Route(VERSION + "/raw/{path:path}", page(artifacts.raw)),
        Route(VERSION + "/lineage", page(lineage.of_version)),
        # runs
        Route("/{entity}/{project}", page(runs.project)),
        Route("/{entity}/{project}/runs", page(runs.project)),
        Route("/{entity}/{project}/lineage", page(lineage.of_project)),
        Route("/{entity}/{project}/compare", page(run_comparison.page)),
        Route("/{entity}/{project}/runs/{run}", page(run.run)),
        Route("/{entity}/{project}/runs/{run}/lineage", page(lineage.of_run)),
        Route("/{entity}/{project}/runs/{run}/{tab}", page(run.run)),
        Route("/{entity}/{project}/runs/{run}/files/{path:path}", page(run.file)),
        Route("/{entity}/{project}/runs/{run}/raw/{path:path}", page(run.raw)),
        Route("/{entity}/{project}/sweeps/{sweep}", page(runs.of_sweep)),
        Route("/{entity}/{project}/{tab}", page(runs.project)),  # such as W&B's workspace
        Route("/{entity}", page(home.home)),
    ]
