# Few words: setup, run, test, check, bench. Each does the set-up it needs.
VENV := .venv
PORT ?= 4747
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup run test check bench clean
.DEFAULT_GOAL := setup

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml uv.lock tools/setup.sh
	@sh tools/setup.sh $(VENV)
	@touch $@

run: setup
	@$(VENV)/bin/python tools/run.py --port $(PORT) $(if $(ONCE),--once)

test: check
	$(VENV)/bin/pytest

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo 2>/dev/null || $(VENV)/bin/lint-imports

bench: setup
	$(VENV)/bin/python -m benches.first_prediction
	$(VENV)/bin/python -m benches.gateway

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
