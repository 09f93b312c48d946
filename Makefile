# The doors of Fuel-stat. `make help` lists them. Everything works from a fresh clone.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
# Two workers share the tests where there are two cores; `make test PYTEST="-k name"` adds options.
WORKERS ?= 2
PYTEST ?=
DEMO ?= 1
NOT_DEMO := $(filter 0 no false off,$(DEMO))
LINTED := fuel_stat ingest_api analytics_api warehouse fleet dags expectations nailgun_sender bench tests sql scripts

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv:
	@scripts/bootstrap

.PHONY: ui
ui: venv ## Build the web page into analytics_ui/dist when its sources changed
	@scripts/ui

.PHONY: up
up: venv ui ## Start everything, send the demonstration's traffic, publish; DEMO=0 starts empty
	@$(BIN)/fuel-stat up $(if $(NOT_DEMO),--no-demo,--demo)

.PHONY: demo
demo: up ## The same as up: the demonstration is sent when it was not yet

.PHONY: down
down: ## Stop everything; the data stays
	@if [ -x $(BIN)/fuel-stat ]; then $(BIN)/fuel-stat down; else echo "Nothing runs: there is no environment yet."; fi

.PHONY: reset
reset: ## Stop everything and delete all data, after asking (YES=1 does not ask)
	@if [ -x $(BIN)/fuel-stat ]; then $(BIN)/fuel-stat reset $(if $(filter 1,$(YES)),--yes); else echo "Nothing to delete."; fi

.PHONY: test
test: venv ui lint ## Lint, types and all tests
	@CHROMIUM="$$(scripts/browser || true)" $(BIN)/python -m pytest -p tests.sharing -n $(WORKERS) --dist loadfile $(PYTEST)

.PHONY: lint
lint: venv ## Style, types, layering, SQL
	@scripts/lint

.PHONY: fmt
fmt: venv ## Format Python and SQL
	@$(BIN)/ruff check --quiet --fix-only $(wildcard $(LINTED))
	@$(BIN)/ruff format $(wildcard $(LINTED))
	@$(BIN)/sqlfluff fix --quiet $(wildcard sql dbt_project/models)

.PHONY: bench bench-ingest bench-warehouse bench-sender bench-freshness
bench: bench-ingest bench-warehouse bench-sender bench-freshness ## All measurements
bench-ingest bench-warehouse bench-sender bench-freshness: venv ## One measurement
	@scripts/bench $(@:bench-%=%)

.PHONY: evidence
evidence: venv ui ## The long runs (storms, mutants, large data); writes docs/evidence/
	@CHROMIUM="$$(scripts/browser || true)" $(BIN)/python -m pytest -m evidence $(PYTEST)

.PHONY: docs
docs: venv ## Generate the pages that are made from code: configuration, commands, metrics
	@$(BIN)/python docs/generate.py

.PHONY: lock
lock: venv ## Resolve the requirements anew into requirements.lock
	@scripts/lock

.PHONY: clean
clean: ## Delete what is generated, except the stack's data (that is `make reset`)
	@rm -rf .venv analytics_ui/dist analytics_ui/node_modules dbt_project/target dbt_project/logs
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
