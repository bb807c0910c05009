# Few words: setup, run, test, check, compat, bench, soak, clean.

PORT ?= 4747
DATA_DIR ?= .hostmaker
ONCE ?=
WORKERS ?= 2
BIN := .venv/bin
SET_UP := .venv/.set-up

.PHONY: help setup run test check compat bench soak clean

help:
	@echo "make setup   make .venv with hostmaker and everything it needs"
	@echo "make run     start a server, deploy the example and invoke it, stay up until Ctrl-C"
	@echo "             (ONCE=1: end after the example; PORT=4747, 0 for any; DATA_DIR=.hostmaker)"
	@echo "make check   formatting, lint, types, layers"
	@echo "make test    make check, then all tests (WORKERS=2 files at a time)"
	@echo "make compat  the SageMaker SDK, mlflow, the AWS CLI, old and new boto3, each in an environment of its own"
	@echo "make bench   measure the gateway, the way to the first prediction, a rollback, pauses of control, a simulated day, explanations"
	@echo "make soak    crash points by the hundred thousand, real processes killed under load (up to three hours)"
	@echo "make clean   remove what the above have made, the data directory apart"

setup: $(SET_UP)

$(SET_UP): pyproject.toml uv.lock tools/setup.sh
	@tools/setup.sh
	@touch $@

run: $(SET_UP)
	@$(BIN)/python tools/run_example.py --port $(PORT) --data-dir $(DATA_DIR) $(if $(ONCE),--once)

check: $(SET_UP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

compat: $(SET_UP)
	$(BIN)/pytest tests/compat

bench: $(SET_UP)
	$(BIN)/python -m benches.gateway
	$(BIN)/python -m benches.first_prediction
	$(BIN)/python -m benches.forked_start
	$(BIN)/python -m benches.rollback_latency --rollbacks 6
	$(BIN)/python -m benches.control_pauses
	$(BIN)/python -m benches.simulated_day
	$(BIN)/python -m benches.explanations
	$(BIN)/python -m benches.explainer

soak: $(SET_UP)
	$(BIN)/python -m soak

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache examples/*/build
