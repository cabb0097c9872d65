"""The routes of all pages, those of the links that the SDK prints among them, and their views."""

from starlette.routing import Route

from wandb_registry.openid.settings import Settings
from wandb_registry.web.charts import line_series
from wandb_registry.web.endpoints import Endpoints
from wandb_registry.web.finding import executions
from wandb_registry.web.forms import run_forms
from wandb_registry.web.lineage import page as lineage
from wandb_registry.web.live_updates import LiveUpdates
from wandb_registry.web.pages import artifacts, home, models, run, run_comparison, runs, search, selected_runs
from wandb_registry.web.rendering import static_file
from wandb_registry.web.settings import bytes_used, forms, keys
from wandb_registry.web.settings import page as settings
from wandb_registry.web.signing_in.session import SessionEndpoints
from wandb_registry.web.sweeps import forms as sweep_forms
from wandb_registry.web.sweeps import page as sweep_page

VERSION = "/{entity}/{project}/artifacts/{type}/{collection}/{version}"
METHODS = ["GET", "POST"]


def routes(endpoints: Endpoints, live: LiveUpdates, openid: Settings | None) -> list[Route]:
    provider = openid.provider if openid else None
    session = SessionEndpoints(endpoints, provider.shown_name if provider else None)
    page = endpoints.page
    return [
        Route("/", page(home.home)),
        Route("/static/{name:path}", static_file),
        Route("/login", session.login, methods=METHODS),
        Route("/login/token", session.login_token, methods=["POST"]),
        *(_openid(session, openid) if openid and provider else []),
        Route("/logout", session.logout, methods=["POST"]),
        Route("/authorize", page(keys.keys_page, keys.make_key), methods=METHODS),
        Route("/settings", page(settings.show, forms.change), methods=METHODS),
        Route("/usage", page(bytes_used.show)),
        Route("/theme", session.theme, methods=["POST"]),
        Route("/search", page(search.search)),
        Route("/live", live.stream),
        # registered models, as W&B addresses them
        Route("/registry/model", page(models.show, models.change), methods=METHODS),
        Route("/orgs/{org}/registry/{name}", page(models.show, models.change), methods=METHODS),
        Route("/{entity}/registry/model", page(models.show, models.change), methods=METHODS),
        # artifacts
        Route("/{entity}/{project}/artifacts", page(artifacts.collections_page)),
        Route("/{entity}/{project}/artifacts/{type}", page(artifacts.collections_page)),
        Route("/{entity}/{project}/artifacts/{type}/{collection}", page(artifacts.newest_version)),
        Route("/{entity}/{project}/artifacts/{type}/{collection}/compare", page(artifacts.compare_versions)),
        Route(VERSION, page(artifacts.version, artifacts.change_version), methods=METHODS),
        Route(VERSION + "/files/{path:path}", page(artifacts.file)),
        Route(VERSION + "/raw/{path:path}", page(artifacts.raw_file)),
        Route(VERSION + "/frame/{path:path}", page(artifacts.framed_file)),
        Route(VERSION + "/lineage", page(lineage.version_lineage)),
        Route(VERSION + "/{tab}", page(artifacts.section_of_version)),
        # runs
        Route("/{entity}/{project}", page(runs.runs_page, selected_runs.change), methods=METHODS),
        Route("/{entity}/{project}/runs", page(runs.runs_page, selected_runs.change), methods=METHODS),
        Route("/{entity}/{project}/executions", page(executions.executions_page)),
        Route("/{entity}/{project}/lineage", page(lineage.project_lineage)),
        Route("/{entity}/{project}/compare", page(run_comparison.comparison_page)),
        Route("/{entity}/{project}/tables", page(run_comparison.tables_page)),
        Route("/{entity}/{project}/series", page(line_series.series)),
        Route("/{entity}/{project}/values", page(line_series.values_page)),
        Route("/{entity}/{project}/runs/{run}", page(run.run_page, run_forms.change), methods=METHODS),
        Route("/{entity}/{project}/runs/{run}/lineage", page(lineage.run_lineage)),
        Route("/{entity}/{project}/runs/{run}/{tab}", page(run.run_page, run_forms.change), methods=METHODS),
        Route("/{entity}/{project}/runs/{run}/files/{path:path}", page(run.file)),
        Route("/{entity}/{project}/runs/{run}/raw/{path:path}", page(run.raw_file)),
        Route("/{entity}/{project}/runs/{run}/frame/{path:path}", page(run.framed_file)),
        Route("/{entity}/{project}/sweeps", page(sweep_page.list_page)),
        Route("/{entity}/{project}/sweeps/{sweep}", page(sweep_page.page, sweep_forms.change), methods=METHODS),
        Route("/{entity}/{project}/{tab}", page(runs.runs_page)),  # such as W&B's workspace
        Route("/{entity}", page(home.home)),
    ]


def _openid(session: SessionEndpoints, settings: Settings) -> list[Route]:
    from wandb_registry.web.signing_in.openid import OpenIDEndpoints  # here, for those who lack the extra `team`

    openid = OpenIDEndpoints(session, settings)
    return [
        Route("/login/openid", openid.start),
        Route("/login/openid/done", openid.finish),
        Route("/login/openid/leave", openid.leave),
        Route("/login/openid/logout", openid.logged_out, methods=["POST"]),
    ]
