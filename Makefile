# The two commands are `make lab` and `make test`; README.md explains them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help venv lab run status down test lint unit

help:
	@echo "make lab                       start the embedded cluster with Airflow on it (Ctrl-C stops it)"
	@echo "make run DAG=name CONF='{…}'   trigger a DAG in the running lab and watch its tasks"
	@echo "make status / make down        look at the lab / stop it"
	@echo "make test                      static checks and all tests"
	@echo "make venv                      only set up the environment in .venv"

venv: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "$(PYTHON) is Python " + sys.version.split()[0] + ", but Airflow 3.0.2 and its pins need 3.11 or 3.12: name one with make PYTHON=python3.12")'
	@echo "Installing the pinned packages into $(VENV) (about a minute, 800 MB)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[lab,dev]'
	@touch $(INSTALLED)

lab: venv
	@exec $(BIN)/python -m lab up

run: venv
	@$(BIN)/python -m lab run $(DAG) --conf '$(or $(CONF),{})'

status: venv
	@$(BIN)/python -m lab status

down: venv
	@$(BIN)/python -m lab down

test: lint unit

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: venv
	$(BIN)/pytest
