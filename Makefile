# The commands of this project; `make` alone lists them. Works with GNU make 3.81 (macOS) too.
PYTHON := .venv/bin/python
PLAIN := not spark and not integration and not browser and not helm

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests up once check test prove bench chaos clean advisories jars

help: ## Show what each command does
	@echo "Start with: make up"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Settings come from the environment or from .env; .env.example names them all."

setup: ## Make .venv from requirements.lock (about 800 MB the first time)
	@sh .ci/setup

setup-tests: ## The same with what checks the code, from requirements-dev.lock (about 1 GB)
	@sh .ci/setup for-tests

up: setup ## Run everything: broker, Spark, market, Dagster, dashboard; Ctrl-C stops it
	@exec $(PYTHON) -m crypto_pipeline.cli up

once: setup ## Run one cycle from poll to forecast, without the web parts, and print its books
	@exec $(PYTHON) -m crypto_pipeline.cli once

check: setup-tests ## Format, lint, types, and the tests that need no server
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m pytest -q -n 2 -m "$(PLAIN)"

test: setup-tests ## Run every test that this machine can run, and list what was left out and why
	-@$(PYTHON) -m crypto_pipeline.embedded.fetch_jars
	-@sh deploy/databricks/runtime.sh >/dev/null
	@$(PYTHON) -m pytest -rs -n 2

prove: setup-tests ## Run the proofs at their full counts (hours); results go to docs/proofs
	@PROVE=1 $(PYTHON) -m pytest -rs -m prove --timeout=14400

bench: setup-tests ## Measure against bare references (hours); results go to docs/benchmarks
	-@$(PYTHON) -m crypto_pipeline.embedded.fetch_jars
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.cycle
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.minute
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.publish
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.scoring
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.start
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.history
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.backlog
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.growth
	-@$(PYTHON) -m crypto_pipeline_tests.benchmarks.engines

chaos: setup-tests ## Try to destroy the whole stack, 500 faults (hours); results go to docs/reliability
	-@$(PYTHON) -m crypto_pipeline.embedded.fetch_jars
	@$(PYTHON) -m crypto_pipeline_tests.chaos

clean: setup ## Remove the state folder (data, logs, jars) after asking
	@$(PYTHON) -m crypto_pipeline.embedded.clean

advisories: setup-tests ## Ask a public database for known vulnerabilities of all that is locked
	@$(PYTHON) -m crypto_pipeline_tests.dependencies

jars: setup ## Maintenance: resolve the jars again and rewrite jars.lock
	@$(PYTHON) -m crypto_pipeline.embedded.lock_jars
