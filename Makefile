# The commands of the project. Everything installs itself: `make demo` and `make test` are enough on a fresh machine.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
ARGS ?=
SEEDS ?= 1 2 3
SEED ?=
ROUNDS ?= 40

.PHONY: help setup demo test check static quick chaos bench bench-sender bench-receiver bench-latency bench-restart bench-scale format lock clean

help: ## Show these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## Make .venv and fetch Kafka's jars; the second time it takes no time
	@infra/setup.sh

demo: setup ## Three campaigns against the simulator, checked number by number (ARGS="--messages 3000 --seed 7")
	@$(BIN)/sendledger demo $(ARGS)

test: static ## Everything that CI does: check, and every test on a real Kafka
	@infra/setup_tests.sh
	@$(BIN)/pytest --numprocesses=2 $(ARGS)

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
	@$(BIN)/python infra/grafana/generate.py --check
	@infra/check_core.sh

.PHONY: chaos-demo chaos-workers chaos-sender
chaos: setup ## The long rounds of the three below; the last line is JSON (SEEDS="1 2 3" SEED=7 ROUNDS=200, ARGS="--messages 3000")
	@$(MAKE) --no-print-directory chaos-demo
	@$(MAKE) --no-print-directory chaos-workers ARGS=
	@$(MAKE) --no-print-directory chaos-sender ARGS=

chaos-demo: setup ## Demos whose roles are killed in the middle, one for each seed (SEEDS="1 2 3", ARGS="--messages 3000")
	@for seed in $(SEEDS); do $(BIN)/sendledger demo --kill --seed $$seed $(ARGS) || exit 1; done

chaos-workers: setup ## Folds, senders and receivers killed, paused, blocked; logs and disks damaged (CHAOS_SEED=7 ARGS="-k storm")
	@CHAOS=long $(BIN)/pytest --capture=no \
		tests/kafka/test_{api_described,chaos,chaos_watchdog,broker_away,cut_log,damaged_state,disk_full,idempotent_posts,unreadable}.py \
		tests/kafka/test_sender_{steps,halts,orders,pace}.py tests/kafka/test_receiver_{outages,floods}.py $(ARGS)

chaos-sender: setup ## Random kills, stops, orders and provider faults, 3 senders, 520 messages a round; the last line is JSON (SEED=7 ROUNDS=200)
	@$(BIN)/python -m tests.chaos --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: setup ## Measure sender, receiver and fold; the last line is JSON
	@$(BIN)/python -m tests.bench $(ARGS)

bench-sender: setup ## The sender beside aiohttp alone, and its memory; the last line is JSON (ARGS="--messages 5000 --grow=")
	@$(BIN)/python -m tests.bench.bench_sender $(ARGS)

bench-receiver: setup ## The receiver beside its own server with an empty handler (wrk), and its p99; the last line is JSON
	@infra/setup_tests.sh
	@$(BIN)/python -m tests.bench.bench_receiver $(ARGS)

bench-latency: setup ## From the receiver's 200 to the numbers, 1,000 postbacks/s; the last line is JSON (ARGS="--stages")
	@$(BIN)/python -m tests.bench.bench_latency $(ARGS)

bench-restart: setup ## How long the numbers stand still when a worker dies; the last line is JSON
	@$(BIN)/python -m tests.bench.bench_restart $(ARGS)

bench-scale: setup ## The fold's cost as its state grows, and a plot; the last line is JSON (ARGS="--millions 1,2")
	@$(BIN)/python -m tests.bench.bench_scale --plot tests/bench/scale.svg $(ARGS)

.PHONY: bench-api
bench-api: setup ## Reading 10,000 campaigns, and 200 open streams; the last line is JSON (ARGS="--seconds 60")
	@$(BIN)/python -m tests.bench.bench_api $(ARGS)

.PHONY: bench-fold
bench-fold: setup ## Measure the fold beside Kafka Streams, Quix Streams, Bytewax and stock Faust; the last line is JSON
	@infra/setup_bench.sh
	@$(BIN)/python -m tests.bench.bench_peers $(ARGS)

.PHONY: screenshots
screenshots: setup ## Take the README's pictures of the live page anew, from a real run (dashboards/pictures)
	@infra/setup_tests.sh
	@$(BIN)/python -m tests.e2e.browser.screenshots dashboards/pictures

format: setup ## Put every file into the project's form
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format --quiet

lock: setup ## Lock every version and hash anew from requirements*.in (the only command that looks for new versions)
	@infra/lock.sh

clean: ## Remove what setup and the tests made
	@rm -rf .venv .venv-bench .venv-oracles infra/kafka/lib tests/bench/peers/kafka_streams/target streams/foldcore/target
	@rm -rf tests/oracles/*/node_modules
	@rm -f streams/sendledger/edges/libfoldcore.native
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
