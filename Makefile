# make run   start the app          make test   everything CI checks
# make bench, proof, gallery, card, train, docs, screenshots: see README.md. Each target installs what it needs into .venv, once.

PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
APP := $(VENV)/.app-installed
DEV := $(VENV)/.dev-installed
BROWSER := $(VENV)/.browser-found
POSTGRES := $(VENV)/.postgres-looked-for

.PHONY: run test lint bench proof gallery card train docs screenshots clean
.DELETE_ON_ERROR:

run: $(APP)
	$(BIN)/streamlit run streamlit_app.py --server.address localhost --server.port $(PORT)

test: $(DEV) $(BROWSER) $(POSTGRES) lint
	$(BIN)/pytest

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

bench: $(APP)
	$(BIN)/python -m benchmarks.bench

proof: $(APP)
	$(BIN)/python -m qwenvl_debug.micro.proof

gallery: $(APP)
	$(BIN)/python -m qwenvl_debug.micro.gallery

card: $(APP)
	$(BIN)/python -m qwenvl_debug.micro.evaluate

train: $(APP)
	$(BIN)/python -m qwenvl_debug.micro.train --work scratch/course --out qwenvl_debug/micro/checkpoint

docs: $(APP)
	$(BIN)/python -c 'from qwenvl_debug.regions.measures import page; print(page(), end="")' > docs/measures.md

screenshots: $(DEV) $(BROWSER)
	$(BIN)/python -m docs.take_screenshots

clean:
	rm -rf $(VENV)

# Stamps: a second run starts at once; a changed list of packages installs again.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(APP): requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -e .
	@touch $@

$(DEV): requirements.txt requirements-dev.txt requirements-models.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[dev,models]"
	@touch $@ $(APP)

# The browser tests drive a Chromium: the machine's own, Debian's package, or Playwright's.
$(BROWSER): | $(DEV)
	@if [ -n "$$QWENVL_DEBUG_CHROMIUM" ] || command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium; \
	else $(BIN)/playwright install chromium; fi
	@touch $@

# The store's tests start a PostgreSQL of their own: the machine's, or Debian's package, whose own server is not started.
# Elsewhere they run on SQLite alone and say so, but for CI, where they fail.
$(POSTGRES): | $(DEV)
	@if [ -n "$$QWENVL_DEBUG_TEST_POSTGRES" ] || command -v postgres || ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null; then :; \
	elif [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
		mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf && \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql; \
	fi
	@touch $@
