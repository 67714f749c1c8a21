# The commands of the project. Everything installs itself: `make demo` and `make test` are enough on a fresh machine.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
ARGS ?=
SEEDS ?= 1 2 3

.PHONY: help setup demo test check static quick chaos bench format lock clean

help: ## Show these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Make .venv and fetch Kafka's jars; the second time it takes no time
	@infra/setup.sh

demo: setup ## Three campaigns against the simulator, checked number by number (ARGS="--messages 3000 --seed 7")
	@$(BIN)/sendledger demo $(ARGS)

test: static ## Everything that CI does: check, and every test on a real Kafka
	@$(BIN)/pytest $(ARGS)

check: setup ## The quick tier: format, lint, types, import contracts, generated files, unit and contract tests
	@$(MAKE) --no-print-directory --jobs=2 static quick

quick: setup
	@$(BIN)/pytest --quiet --numprocesses=auto --hypothesis-profile=quick tests/unit tests/contract

static: setup
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m sendledger_schemas.generate --check

chaos: setup ## Demos whose roles are killed in the middle, one for each seed (SEEDS="1 2 3", ARGS="--messages 3000")
	@for seed in $(SEEDS); do $(BIN)/sendledger demo --kill --seed $$seed $(ARGS) || exit 1; done

bench: setup ## Measure sender, receiver and fold; the last line is JSON
	@$(BIN)/python -m tests.bench $(ARGS)

format: setup ## Put every file into the project's form
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format --quiet

lock: setup ## Lock every version and hash anew from requirements*.in (the only command that looks for new versions)
	@infra/lock.sh

clean: ## Remove what setup and the tests made
	@rm -rf .venv infra/kafka/lib .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
