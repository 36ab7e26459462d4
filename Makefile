# The two commands are `make lab` and `make test`; README.md explains them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# What the recipes get by the environment, so that quotes in it do no harm.
CONF ?= {}
export CONF
# Nothing is written outside of .lab and .venv.
export PYTHONDONTWRITEBYTECODE := 1

# The project itself is not installed, only named in a .pth file: an editable install would leave its metadata in plugins/.
define INSTALL
import pathlib, sysconfig, tomllib
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
wanted = project["dependencies"] + project["optional-dependencies"]["lab"] + project["optional-dependencies"]["dev"]
pathlib.Path("$(VENV)", "requirements.txt").write_text("\n".join(wanted) + "\n")
pathlib.Path(sysconfig.get_path("purelib"), "infra-ops.pth").write_text(str(pathlib.Path("plugins").resolve()) + "\n")
endef
export INSTALL

.PHONY: help venv lab run status down test lint unit crash bench images

help:
	@echo "make lab                       start the embedded cluster with Airflow on it (Ctrl-C stops it)"
	@echo "make run DAG=name CONF='{…}'   trigger a DAG in the running lab and watch its tasks"
	@echo "make status / make down        look at the lab / stop it"
	@echo "make test                      static checks and all tests"
	@echo "make crash                     kill runbooks everywhere, let every part fail or go away (several hours)"
	@echo "make bench                     what DAG files cost to read, and what a rotation costs"
	@echo "make venv                      only set up the environment in .venv"
	@echo "make images REGISTRY=host/path build both images for arm64 and amd64 and push them (without: for this machine)"

venv: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "$(PYTHON) is Python " + sys.version.split()[0] + ", but Airflow 3.0.2 and its pins need 3.11 or 3.12: name one with make PYTHON=python3.12")'
	@echo "Installing the pinned packages into $(VENV) (about a minute, 800 MB)"
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c "$$INSTALL"
	$(BIN)/pip install --quiet --constraint constraints.txt --requirement $(VENV)/requirements.txt
	@touch $(INSTALLED)

lab: venv
	@exec $(BIN)/python -m lab up

run: venv
	@test -n "$(DAG)" || { echo "Name a DAG: make run DAG=ground_check"; exit 2; }
	@$(BIN)/python -m lab run "$(DAG)" --conf "$$CONF"

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
	cd include/ansible && PATH="$(CURDIR)/$(BIN):$$PATH" ANSIBLE_HOME="$(CURDIR)/$(BIN)/../ansible" ansible-lint -q --offline --strict

unit: venv
	$(BIN)/pytest

crash: venv
	PYTHONPATH=plugins:. $(BIN)/python -m tests.crash
	$(BIN)/pytest -s $(wildcard tests/crash/test_*.py)

bench: venv
	PYTHONPATH=plugins:. $(BIN)/python -m tests.bench
	$(BIN)/pytest -s $(wildcard tests/bench/test_*.py)

# A registry holds both architectures under one tag; Docker's own store only that of this machine.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PLATFORMS := linux/arm64,linux/amd64
BUILD = docker buildx build $(if $(REGISTRY),--platform $(PLATFORMS) --push,--load)
NAME = $(if $(REGISTRY),$(REGISTRY)/)infra-ops

images:
	@docker buildx inspect >/dev/null 2>&1 || { echo "make images needs Docker with its buildx plugin, and its daemon running: https://docs.docker.com/build/" >&2; exit 1; }
	$(BUILD) --file docker/airflow/Dockerfile --tag $(NAME)/airflow:$(VERSION) .
	$(BUILD) --file docker/toolbox/Dockerfile --tag $(NAME)/toolbox:$(VERSION) .
