# Everything a person does with this checkout. `make help` prints the lines marked with ##.

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv/bin

export PYTHON

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run up down status test test-fast faults lint fmt bench pictures lock clean setup-run setup-test chromium servers rabbitmq

help:  ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: export PBXIM_MODE ?= sandbox
run: setup-run  ## Start the whole system on this machine, in sandbox mode (Ctrl-C stops it).
	@exec $(VENV)/python -m deploy.embedded

up: export PBXIM_MODE ?= sandbox
up: setup-run  ## Start the distributed system: own PostgreSQL and RabbitMQ, every service a process.
	@[ -n "$$PBXIM_DATABASE$$PBXIM_DATABASE_FILE" ] || scripts/servers.sh
	@[ -n "$$PBXIM_AMQP$$PBXIM_AMQP_FILE" ] || scripts/rabbitmq.sh
	@exec $(VENV)/python -m deploy.up up

down:  ## End what `make up` started.
	@exec $(VENV)/python -m deploy.up down

status:  ## Say how the processes of `make up` are.
	@exec $(VENV)/python -m deploy.up status

test: chromium servers rabbitmq lint  ## Lint, then every test (WORKERS=2 processes).
	@$(VENV)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder --durations 10

test-fast: servers  ## The quick tests: no lint, no browser, no broker, nothing marked slow.
	@$(VENV)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder -m 'not slow and not browser and not broker'

faults: servers rabbitmq  ## Kill, stop and starve every part under load (half an hour at most; SEED=1 ONLY=name).
	@exec $(VENV)/python -m tests.faults.distributed $(if $(SEED),--seed $(SEED)) $(addprefix --only ,$(ONLY))

lint: setup-test  ## The checks alone: ruff, mypy, import-linter, bandit.
	@scripts/lint.sh

fmt: setup-test  ## Format the code and repair what ruff can repair.
	$(VENV)/ruff check --fix-only
	$(VENV)/ruff format

bench: servers rabbitmq  ## Measure; ONLY=distributed one part of it, by name (see bench/).
	@exec $(VENV)/python -m bench $(ONLY)

pictures: chromium  ## Renew docs/images: the screenshots of docs/tutorial.md.
	@PBXIM_TEST_SCREENSHOTS=docs/images $(VENV)/python -m pytest -q tests/e2e/browser/test_tutorial.py

lock:  ## Compile requirements*.txt anew (needs uv; UPGRADE=1 takes newer versions).
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean:  ## Remove .venv, caches and var (var holds the data of `make run` and `make up`).
	@if [ -e var/distributed/up/servers.json ]; then $(VENV)/python -m deploy.up forget; fi
	rm -rf .venv var build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-run:
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test

# After the packages, so that a machine which can have neither says so about Python first.
chromium: setup-test
	@scripts/chromium.sh

servers: setup-test
	@scripts/servers.sh

rabbitmq: setup-test
	@scripts/rabbitmq.sh
