# Two commands do everything on a machine with only Python 3.11 and make: `make run` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 4

# Tests start hundreds of processes: each would compile the sources anew where writing bytecode is switched off.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help setup run test lint types unit collected wheel-check simulate chaos bench bench-peers lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv exactly as requirements.lock says

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "pitboss needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib || true # by all cores, where pip would take one
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $(READY)

run: $(READY) ## Start the loopback exchange and the daemon trading on it through ccxt.pro; Ctrl-C ends both
	@$(BIN)/pitboss demo

test: lint types unit ## Lint, types and all tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy .

collected: $(READY) # Tests are compiled as they are collected: once here, or by each of those who run them, who say what is wrong
	-$(BIN)/python -m pytest --collect-only -qq >/dev/null

unit: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

wheel-check: $(READY) ## Prove that the built wheel works in an empty environment
	$(BIN)/python .ci/check_wheel.py

simulate: $(READY) ## Live through SEEDS simulated worlds of faults, and name every seed that breaks a promise
	$(BIN)/python -m tests.simulation.run --seeds $(or $(SEEDS),1000)

chaos: $(READY) ## Play ROUNDS of daemon against exchange, both killed and lied to, and compare their books
	$(BIN)/python -m tests.chaos.venue_rounds --rounds $(or $(ROUNDS),100)

bench: $(READY) ## Measure speed and memory against bounds and, if installed, peers
	$(BIN)/python bench/run.py

bench-peers: $(READY) ## Install the peers `make bench` compares with (half a gigabyte)
	$(BIN)/python bench/peers/setup.py

lock: ## Write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate pyproject.toml --group dev --output-file requirements.lock

clean: ## Remove everything that can be made again
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
