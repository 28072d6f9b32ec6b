# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench storm kills setup setup-test clean

demo: setup
	$(BIN)/gateway demo

# Two processes, since most tests wait for others; the tests of a file share what they start.
test: setup-test
	$(BIN)/pytest --numprocesses 2 --dist loadfile

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m docs.generate --check

bench: setup
	$(BIN)/python -m bench

# Five thousand messages while the broker, and then the node, is killed; the tests have a few.
storm: setup-test
	STORM_MESSAGES=5000 $(BIN)/pytest -s tests/system/test_amqp_storm.py

# Uploads over SFTP and AMQP while node, customs and broker are killed 260 times; the tests kill a few times.
kills: setup-test
	KILLS='{"amqp": 200, "folder": 60}' $(BIN)/pytest -s tests/system/test_kills.py

setup: $(VENV)/.ready

# The lock file names every version and its hash; nothing else is installed.
$(VENV)/.ready: requirements.lock pyproject.toml
	sh .ci/packages $(PYTHON)-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

setup-test: setup
	sh .ci/packages sftp sshd xmlsec1 rabbitmq amqp-tools lftp

clean:
	rm -rf $(VENV) build *.egg-info
