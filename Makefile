# Each target makes .venv first and installs what it needs into it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The build of PyTorch that the train extra gets. On Linux the plain index carries the CUDA build
# (gigabytes); a CPU build: make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
# Of a model to release: make release VERSION=1.1.0
VERSION ?= $(error say which: make release VERSION=1.1.0)
# Labelled rows: make retrain DATA=new.csv
DATA ?= $(error say on what: make retrain DATA=new.csv)

.PHONY: setup serve test check train eval release retrain bench docs help

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

setup: .venv/.serve ## Install brandtox for serving

.venv/.serve: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	touch $@

.venv/.dev: .venv/.serve
	$(PIP) $(TORCH)
	$(PIP) -e '.[train,dev]'
	touch $@

serve: .venv/.serve ## Answer HTTP on 127.0.0.1:8000 (BRANDTOX_HOST, BRANDTOX_PORT)
	$(BIN)/brandtox serve

test: check ## All checks and the fast tests
	$(BIN)/pytest

check: .venv/.dev ## ruff, mypy --strict, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

train: .venv/.dev ## Train a model (BRANDTOX_CORPORA: folder of public corpora)
	$(BIN)/brandtox train

eval: .venv/.dev ## Evaluate the released model beside two baselines, write docs/results.*
	$(BIN)/brandtox evaluate --baselines

release: .venv/.dev ## Export a trained model to model/released/, if it passes the gates
	$(BIN)/brandtox release --version "$(VERSION)"

retrain: .venv/.dev ## Train the model in use on with your own labelled rows, judge the candidate
	$(BIN)/brandtox retrain $(DATA)

bench: .venv/.dev ## Speed and memory, as ratios; writes docs/speed.* and docs/archives-speed.*
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.archives

docs: .venv/.serve ## Write docs/openapi.json and docs/settings.md from the code
	$(BIN)/python -m serving.documents
