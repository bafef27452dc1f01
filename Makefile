# Every target does all the set-up it needs; a fresh machine needs Python ≥ 3.11 and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv
STAMP := $(VENV)/.synced

# Each command starts twice as fast from bytecode, and the demo and the tests start hundreds: it is kept, whatever was said outside.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test check audit sbom release spec fix bench client costs scale engine prompt unchanged tenants soak crash crash-server fuzz nightly docs clean

setup: $(STAMP)

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Rollbook needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name one: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"

$(STAMP): $(BIN)/uv pyproject.toml uv.lock
	$(UV) sync --quiet --locked --all-groups --extra demo --extra otel --extra postgres --extra uvicorn --python $(BIN)/python
	@# python-ldap has to be compiled: only where its headers are, and nothing else depends on it.
	@test ! -e /usr/include/ldap.h || $(UV) sync --quiet --locked --inexact --all-groups --extra demo --extra otel --extra postgres --extra uvicorn --extra ldap \
		--python $(BIN)/python 2>/dev/null || echo "python-ldap could not be built: the tests of LDAP sources are skipped"
	@touch $(STAMP)

demo: setup
	$(BIN)/rollbook demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.supply.licences
	$(BIN)/python -m tests.supply.audit

audit: setup
	$(BIN)/python -m tests.supply.audit

sbom: setup
	$(BIN)/python -m tests.supply.sbom

release: setup
	$(BIN)/python -m tests.supply.release --key $(or $(KEY),none)

spec: setup
	$(BIN)/python -m spec

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m bench $(ARGS)

client: setup
	$(BIN)/python -m bench.client $(ARGS)

costs: setup
	$(BIN)/python -m bench.costs $(ARGS)

engine: setup
	$(BIN)/python -m bench.provisioning $(ARGS)

prompt: setup
	$(BIN)/python -m bench.prompt $(ARGS)

unchanged: setup
	$(BIN)/python -m bench.unchanged $(ARGS)

tenants: setup
	$(BIN)/python -m bench.tenants $(ARGS)

scale: setup
	$(BIN)/python -m bench.scale $(ARGS)

crash: setup
	$(BIN)/python -m tests.crash.run $(ARGS)

crash-server: setup
	$(BIN)/python -m tests.crash.server $(ARGS)

fuzz: setup
	$(BIN)/python -m pytest tests/fuzz --hypothesis-profile fuzz -q $(ARGS)
	$(BIN)/python -m pytest tests -m hypothesis --hypothesis-profile explore -n 2 -q $(ARGS)

nightly: setup
	$(BIN)/python -m tests.simulation.run --seeds 10000 $(ARGS)

soak: setup
	$(BIN)/python -m bench.soak $(ARGS)

docs: setup
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
