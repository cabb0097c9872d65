# Every target works from a fresh clone: what it needs is installed into .venv first.

PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Container images often set it. Bytecode that isn't kept is made again by every command: 20 s each time for TensorFlow
unexport PYTHONDONTWRITEBYTECODE
STAGES := prepare train register evaluate
LOCK := uv pip compile --quiet --python-version 3.11 --custom-compile-command "make lock"

help:      ## what you can do here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@printf '  make %-12s %s\n' 'STAGE' 'run the pipeline as far as $(STAGES)'

repro: .venv/installed packages.yaml ## set up if need be, run what changed, mirror it, print where to look; JOBS=4 at a time
	@$(if $(call typed,JOBS),dvc-wandb repro --jobs "$$JOBS",dvc repro)
	@dvc-wandb mirror --lenient

$(STAGES): .venv/installed packages.yaml
	@dvc repro $@
	@dvc-wandb mirror --lenient $@

mirror: .venv/installed ## make the registry hold what dvc.lock names
	@dvc-wandb mirror

verify: .venv/installed ## prove dvc.lock and the registry equal, or list every difference
	@dvc-wandb verify

# What is typed behind `make` counts: a VERSION or JOBS of the environment, as CI may have it, is nobody's decision
typed = $(and $(filter command,$(origin $(1))),$(value $(1)))
# As it was typed: a $ in it means nothing to make
override export REASON := $(if $(call typed,REASON),$(value REASON))

promote: .venv/installed packages.yaml ## run the gate, let the registry follow what is committed; DRY=1, VERSION=v3 REASON="…", FROM=registry
	@dvc-wandb promote $(if $(DRY),--dry) $(if $(call typed,VERSION),--version "$$VERSION") \
	  $(if $(call typed,FROM),--from "$$FROM") $(if $(REASON),--reason "$$REASON")

rollback: .venv/installed ## put the model before back into production.json; REASON="…", DRY=1
	@dvc-wandb rollback $(if $(DRY),--dry) $(if $(REASON),--reason "$$REASON")

lineage: .venv/installed ## draw the lineage with the names of both sides
	@dvc-wandb show

report: .venv/installed ## promotion, metrics, plots and lineage as Markdown, and as report.html
	@dvc-wandb report --html report.html

reproduce: .venv/installed ## run the current commit again on nothing, and compare every output
	@dvc-wandb reproduce

serve: .venv/installed ## the registry in the foreground; prints the address to open
	@wandb-registry stop > /dev/null 2>&1 || true # one that a stage started in the background makes way
	@wandb-registry serve

stop: .venv/installed ## end the registry
	@wandb-registry stop

test: .venv/installed-dev ## set up if need be, run the tests
	@python -m pytest -n 4

test-slow: .venv/installed-dev ## the tests that take longer; CI runs them too
	@python -m pytest -n 4 -m 'slow and not soak'

test-cluster: .venv/installed-dev ## the tests on a SLURM and a Dask that they start; SLURM is Debian's slurm-wlm and munge
	@python -m pytest -m 'cluster and not soak' -rs

test-team: .venv/installed-dev ## the registry's tests with records in PostgreSQL and contents in a bucket, which they start
	@python -m tests.engines.team_database python -m tests.engines.team_bucket python -m pytest -n 4 -m 'not soak' tests/wandb_registry

soak: .venv/installed-dev ## the long rounds of faults, load and old clients
	@python -m pytest -n 4 -m 'soak and not cluster'

soak-cluster: .venv/installed-dev ## rounds of kills on SLURM and Dask
	@python -m pytest -m 'soak and cluster' -rs

screenshots: .venv/installed-dev ## the pictures in docs/, from a real run of the pipeline; needs Chromium
	@python -m docs.screenshots

lint: .venv/installed-dev ## format, lint, types, the jobs for CI
	@ruff check .
	@ruff format --check .
	@pyright
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.gitlab-ci .gitlab-ci.yml

lock: .venv/installed-dev ## choose new versions for requirements*.txt and pylock.toml from requirements*.in
	$(LOCK) --upgrade requirements.in pyproject.toml -o requirements.txt
	$(LOCK) --format pylock.toml requirements.txt -o pylock.toml
	$(LOCK) --upgrade requirements-dev.in -o requirements-dev.txt
	@$(MAKE) packages.yaml

# The versions in requirements.txt of the packages that packages.yaml names
packages.yaml: requirements.txt
	@awk -F'==|: ' 'NR == FNR { if (NF == 2) version[$$1] = $$2; next } /^#/ { print; next } { print $$1 ": " version[$$1] }' \
	  requirements.txt packages.yaml > packages.yaml.new
	@mv packages.yaml.new packages.yaml

.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) install.py requirements.txt --project
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@$(PYTHON) install.py requirements-dev.txt
	@touch $@

.PHONY: help repro $(STAGES) mirror verify promote rollback lineage report reproduce serve stop \
  test test-slow test-cluster test-team soak soak-cluster screenshots lint lock
