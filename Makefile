# TenDays. `make` alone tells what there is. All that is needed beforehand is make and Python 3.11 or newer.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest
FAST   := tests/rules tests/students tests/offers tests/employers tests/organisations tests/idempotency tests/torture/test_checker.py
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help run story test test-fast test-slow test-calendar test-pgbouncer test-sweep check format bench torture contract reset lock seal
MAKEFLAGS += --no-print-directory

help: ## this list
	@printf 'TenDays: an open API for modern work experience\n\n'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'
	@printf '\nSettings are TENDAYS_* variables (app/settings.py); ARGS="..." goes to the command itself.\n'

run: export TENDAYS_ENV ?= development
run: $(STAMP) ## everything: database, API, worker; the story at first start; Ctrl-C stops it
	@exec $(BIN)/tendays run $(ARGS)

story: $(STAMP) ## play the story against what `make run` started
	@exec $(BIN)/tendays story $(ARGS)

test: $(STAMP) ## the test suite, in two processes (TENDAYS_PG_BIN=... for another Postgres, WORKERS=0 for one process)
	@$(PYTEST) $(SHARED) -m 'not slow_suite' $(ARGS)

test-fast: $(STAMP) ## the rules, and what needs no big load: under a minute
	@$(PYTEST) $(SHARED) -m 'not slow_suite' $(FAST) $(ARGS)

test-slow: $(STAMP) ## the rest: kill -9, a browser, the story, the README, the pilots loaded twice
	@$(PYTEST) -m slow_suite --ignore=tests/sweep $(ARGS)

test-sweep: $(STAMP) ## odd values in every field, parameter, row, cell, argument and header of the contract (long; not in CI yet)
	@$(PYTEST) tests/sweep $(ARGS)

test-calendar: $(STAMP) ## the tests that read the calendar, on other days than today (needs faketime)
	@$(BIN)/python -m tests.other_days $(SHARED) -m 'calendar and not slow_suite' $(ARGS)

test-pgbouncer: $(STAMP) ## the requests of the suite through PgBouncer in transaction mode, with a small pool
	@$(BIN)/python -m pytest -p tests.pooled -m 'not slow_suite' tests/rest tests/bookings tests/idempotency $(ARGS)

check: $(STAMP) ## style, types, import contracts, published contract, lock file
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo 'Not formatted: run `make format`'; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.txt 2>&1 || { cat $(VENV)/imports.txt; exit 1; }
	@test ! -f app/main.py || $(BIN)/tendays contract --check
	@if grep -nE 'https?://|file:|index-url|find-links|trusted-host' requirements.lock; then \
	    echo 'requirements.lock names an address: run `make lock`'; exit 1; fi
	@echo 'check: style, types, import contracts, published contract and lock file are in order'

format: $(STAMP) ## put the code in order
	@$(BIN)/ruff check --quiet --fix-only . ; $(BIN)/ruff format --quiet .

bench: $(STAMP) ## the measurements
	@exec $(BIN)/python -m bench $(ARGS)

torture: $(STAMP) ## kill -9 at random moments for five minutes, then judge what was recorded (ARGS="--seconds 60 --seed 1")
	@exec $(BIN)/python -m bench.torture $(ARGS)

contract: $(STAMP) ## write openapi/ anew from the code
	@$(BIN)/tendays contract

reset: $(STAMP) ## forget the embedded database, credentials and keys (asks; ARGS=--yes does not)
	@$(BIN)/tendays reset $(ARGS)

seal: ## write the checksums of new migrations into tests/proof/migrations.lock; those in it stay as they are
	@cd migrations/versions && for f in 2*.sql 2*.py; do \
	    grep -q " $$f$$" ../../tests/proof/migrations.lock || sha256sum $$f >> ../../tests/proof/migrations.lock; done

lock: $(STAMP) ## choose the versions in requirements.lock anew
	@$(BIN)/python -m pip install --quiet uv
	@sed -n '/^#/p;/^#/!q' requirements.lock > $(VENV)/lock
	@$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header \
	    --group dev pyproject.toml >> $(VENV)/lock
	@mv $(VENV)/lock requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed'; exit 1; }
	@test -x $(BIN)/python || { echo 'Making $(VENV) ...'; $(PYTHON) -m venv $(VENV); }
	@echo 'Installing the packages of requirements.lock (once, and when it changes) ...'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
