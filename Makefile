# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-quick check bench storm kills setup setup-test clean

demo: setup
	@echo "Starting a gateway and sending six declarations over SFTP; half a minute."
	@$(BIN)/gateway demo

# Four processes, since most tests wait for others; the tests of a file share what they start.
test: setup-test
	$(BIN)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

# What judges, without a broker, a server or a store of its own: for daily work, within a minute.
test-quick: setup
	$(BIN)/pytest --numprocesses 2 --dist load tests/model tests/rules tests/families tests/config tests/run/test_fairness.py \
		tests/deliver/test_settlement.py tests/respond/test_match.py tests/judge/test_transitions.py \
		tests/judge/test_rules.py tests/judge/test_validate.py tests/formats/test_signing.py \
		tests/formats/test_signatures_xades.py tests/test_architecture.py

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m docs.generate --check

bench: setup
	$(BIN)/python -m bench

# Five thousand messages while the broker, and then the node, is killed; the tests have a few.
storm: setup-test
	STORM_MESSAGES=5000 $(BIN)/pytest -s -o timeout=0 tests/system/test_amqp_storm.py

# Uploads over SFTP and AMQP while node, customs and broker are killed 260 times; the tests kill a few times.
kills: setup-test
	KILLS='{"amqp": 200, "folder": 60}' $(BIN)/pytest -s -o timeout=0 tests/system/test_kills.py

setup: $(VENV)/.ready

# The lock file names every version and its hash; nothing else is installed.
$(VENV)/.ready: requirements.lock pyproject.toml
	@echo "Setting up $(VENV), once; this takes a minute or two."
	@echo "1/3 packages of the system that are missing"
	@sh .ci/packages $(PYTHON)-venv
	@echo "2/3 a virtual environment of Python"
	@$(PYTHON) -m venv $(VENV)
	@echo "3/3 the libraries of requirements.lock, each held to its hash"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo "Set up."
	@touch $@

setup-test: setup
	sh .ci/packages sftp sshd xmlsec1 rabbitmq amqp-tools lftp

clean:
	rm -rf $(VENV) build *.egg-info
