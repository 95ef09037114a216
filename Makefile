# Everything lives in .venv; nothing needs root.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint types contracts unit worlds soak proof mutation e2e audit docs lock clean

setup: .venv/.ready

.venv/.ready: requirements-dev.lock pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python "$(PYTHON)" .venv && \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . ; \
	else \
	  "$(PYTHON)" -m venv .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . ; \
	fi
	@$(BIN)/python -m compileall -q -j 0 autoscaler policies simulations .venv/lib
	@touch $@

demo: setup
	@$(BIN)/autoscaler demo

test: setup lint types contracts unit worlds

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

unit: setup
	$(BIN)/pytest -n 2 --cov --cov-report=
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=100 --include='policies/*,autoscaler/core/*'

# The whole daemon in simulated worlds: 100 days at its ports, 3 through the AWS client library, bugs planted.
worlds: setup
	$(BIN)/python -m tests.soak --days 100 --pairs 850
	$(BIN)/python -m tests.soak --days 3 --wire
	$(BIN)/python -m tests.soak --bugs

DAYS ?= 1000
SEED ?= 1
soak: setup
	nice $(BIN)/python -m tests.soak --seed $(SEED) $(if $(SECONDS),--seconds $(SECONDS),--days $(DAYS)) --table

proof: setup
	$(BIN)/pytest -n 2 -m deep -rP

mutation: setup
	rm -rf mutants
	CI=true nice $(BIN)/mutmut run
	$(BIN)/python benchmarks/mutation.py

audit: setup
	@$(BIN)/python deploy/audit.py

AIRFLOW ?= 3
e2e: setup
	@$(BIN)/python -m tests.e2e --airflow $(AIRFLOW)

docs: setup
	$(BIN)/python -c "from pathlib import Path; from autoscaler.reference import refreshed; \
	  page = Path('README.md'); page.write_text(refreshed(page.read_text()))"

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --all-extras --group pyproject.toml:build --custom-compile-command "make lock" -o requirements-dev.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --constraint requirements-dev.lock --group pyproject.toml:build --custom-compile-command "make lock" \
	  -o deploy/requirements-build.lock
	for release in 2 3; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --custom-compile-command "make lock" -o tests/e2e/requirements-$$release.txt tests/e2e/requirements-$$release.in; \
	done

clean:
	rm -rf .venv .airflow .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage mutants
