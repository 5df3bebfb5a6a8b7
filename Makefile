# SPDX-License-Identifier: GPL-3.0-or-later
# Ironbook. `make site` brings a whole trading venue up on this machine and trades through it; `make test` proves it.
# No cloud, no account, no root. All state lies under .site/ (make clean-site) and .venv/ (make distclean).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BEGIN := $(shell date +%s)

export IRONBOOK_STATE ?= $(CURDIR)/.site
export IRONBOOK_PORT_BASE
export MARKET_DATA
# Python leaves no __pycache__ beside our sources; pip still compiles what it installs.
export PYTHONDONTWRITEBYTECODE := 1
# Nothing of a real account reaches any process that we start.
unexport $(filter AWS_% EC2_% S3_%,$(.VARIABLES))
export AWS_CONFIG_FILE := /dev/null
export AWS_SHARED_CREDENTIALS_FILE := /dev/null

.PHONY: help
help:  ## this text
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-15s %s\n", $$1, $$2}'

# ---------------------------------------------------------------------------------------------- environment

# What the distribution `ironbook` is built from; a change of any of them installs it again.
SOURCES := setup.py pyproject.toml $(shell find engine_native services -type f \( -name '*.py' -o -name '*.[ch]' \))

$(VENV)/.site: requirements/site.txt requirements/constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "missing on this machine: $(PYTHON): apt-get install" \
		"python3 python3-venv python3-dev gcc libc6-dev make" >&2; exit 1; }
	@$(PYTHON) requirements/preflight.py
	@echo "installing the Python packages of requirements/site.txt into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -r requirements/site.txt
	@mkdir -p $(VENV)/collections/ansible_collections/ironbook
	@ln -sfn ../../../.. $(VENV)/collections/ansible_collections/ironbook/trading
	@touch $@

$(VENV)/.ironbook: $(VENV)/.site $(SOURCES)
	@echo "compiling the matching core and installing the distribution ironbook"
	@rm -rf $(VENV)/src && mkdir -p $(VENV)/src
	@cp -r setup.py pyproject.toml README.md LICENSE engine_native services $(VENV)/src/
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--force-reinstall $(VENV)/src
	@echo "import gc; gc.set_threshold(50_000, 20, 100)  # docs/decisions/0026" > $$($(BIN)/python -c \
		"import sysconfig; print(sysconfig.get_path('purelib'))")/collect_less.pth
	@touch $@

# Says what it installs, and nothing where nothing is to be done: make itself would call that "up to date".
QUIET_MAKE = $(MAKE) --no-print-directory --silent

# One installer at a time: `make site` and `make test` may start together in a fresh clone.
.PHONY: venv
venv:  ## .venv/ with all that the venue needs
	@mkdir -p $(VENV)
	@flock $(VENV)/.lock $(QUIET_MAKE) $(VENV)/.ironbook

# ----------------------------------------------------------------------------------------------- the venue

# Keys of a real account are refused, though none of ours would read them: whoever exports them means an account, and this
# is none. AWS gives long-term keys the prefix AKIA and temporary ones ASIA (IAM User Guide, "Unique identifiers").
.PHONY: no-account
no-account:
	@test -z "$(if $(filter AKIA% ASIA%,$(AWS_ACCESS_KEY_ID)),set)" || { echo "AWS_ACCESS_KEY_ID is a key of a real" \
		"account, and make site reaches none: unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN" \
		"(for a real account see 'On AWS' in README.md)" >&2; exit 1; }

.PHONY: site
site: no-account venv  ## bring the whole venue up on this machine and trade a session through it (ARGS="--check --diff" previews)
	@$(BIN)/ironbook local run $(BIN)/ansible-playbook -i inventories/local ironbook.trading.site $(ARGS) && \
	echo "make site: $$(( $$(date +%s) - $(BEGIN) )) s"

.PHONY: drill
drill: no-account venv  ## kill the site's primary while a canary trades, and say what its client saw
	@$(BIN)/ironbook local run $(BIN)/ansible-playbook -i inventories/local ironbook.trading.drill_failover $(ARGS)

.PHONY: clean-site
clean-site:  ## stop every process of the site and remove .site/
	@if [ -x $(BIN)/ironbook ]; then $(BIN)/ironbook local down --remove; \
	elif [ -e "$(IRONBOOK_STATE)" ]; then \
		echo "$(IRONBOOK_STATE) exists but $(VENV) does not: run 'make venv clean-site'" >&2; exit 1; fi

.PHONY: distclean
distclean: clean-site  ## clean-site, and remove .venv/ and every cache, ours and those of tools called by hand
	@rm -rf $(VENV) .test .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build engine_native/build *.egg-info
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------- the gates

$(VENV)/.test: requirements/test.txt $(VENV)/.site
	@echo "installing the Python packages of requirements/test.txt into $(VENV)"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -r requirements/test.txt
	@touch $@

# As root on Debian: installs what the lanes need and Debian has. Anyone else: nothing; such a lane is then not run.
.PHONY: debian
debian:
	@$(PYTHON) tests/gates/debian.py

.PHONY: venv-test
venv-test:
	@mkdir -p $(VENV)
	@flock $(VENV)/.lock $(QUIET_MAKE) $(VENV)/.ironbook $(VENV)/.test

.PHONY: test
test: debian venv-test  ## every gate of the repository, and the count of rows that they prove
	@$(BIN)/python tests/gates/lanes.py all || code=$$?; $(BIN)/python tests/feature_rows.py --brief; exit $${code:-0}

.PHONY: test-fast
test-fast: venv-test  ## the inner loop: what can be known within a minute
	@$(BIN)/python tests/gates/lanes.py fast

.PHONY: lint
lint: venv-test  ## ruff, mypy, yamllint, ansible-lint, syntax, docs
	@$(BIN)/python tests/gates/lanes.py lint

.PHONY: lanes
lanes: venv-test  ## some lanes of make test by name: make lanes LANES="ruff unit"
	@$(BIN)/python tests/gates/lanes.py $(LANES)

# Wants a quiet machine. What it measures, and beside what: bench/durable.py; DURABLE="--only plain --save" is for that.
.PHONY: bench-durable
bench-durable: debian venv-test  ## what durability and replication cost an order; fails where a figure misses its bar
	@$(BIN)/python bench/durable.py $(DURABLE)

.PHONY: bench-failover
bench-failover: debian venv-test  ## how long a shard acknowledges nothing when something breaks; fails where a bar is missed
	@$(BIN)/python bench/failover.py $(FAILOVER)

# PROVISION="--terraform DIRECTORY --plugins DIRECTORY --save" measures beside Terraform, where that is present.
.PHONY: bench-provision
bench-provision: venv-test  ## how long production takes to be made, and to be found unchanged; fails where a bar is missed
	@$(BIN)/python bench/provision.py $(PROVISION)

# The long forms of two lanes' proofs; each ends by itself and writes its result file.
.PHONY: failovers-long
failovers-long: debian venv-test  ## 300 failovers under load; see bench/long_proofs.py
	@$(BIN)/python bench/long_proofs.py failovers --save $(LONG)

.PHONY: every-byte-long
every-byte-long: venv-test  ## a journal of 10,000 records cut at every length, each bit turned
	@$(BIN)/python bench/long_proofs.py every-byte --save $(LONG)

.PHONY: operations-long
operations-long: debian venv-test  ## every playbook of a shard's operations, whole and killed in its middle
	@$(BIN)/python bench/long_proofs.py operations --save $(LONG)

.PHONY: inventories-long
inventories-long: debian venv-test  ## site.yml of every inventory for AWS and of every profile, planned, made and found unchanged
	@$(BIN)/python bench/long_proofs.py inventories --save $(LONG)

# As root, in QEMU: a guest with a kernel of its own is tuned, booted and de-tuned. Not a lane of make test.
.PHONY: test-hosts
test-hosts: venv-test  ## the tuning of hosts and its audit in a guest with its own kernel; see bench/long_proofs.py
	@$(PYTHON) tests/gates/debian.py guests
	@$(BIN)/python bench/long_proofs.py hosts --save $(LONG)

.PHONY: host-docs
host-docs: venv-test  ## writes docs/host_tuning.md, which is made from the catalogue of tunables
	@$(BIN)/python tests/host_tuning_docs.py

.PHONY: role-docs
role-docs: venv-test  ## writes docs/roles/, which is made from what each role says of its variables
	@$(BIN)/python tests/role_docs.py

.PHONY: features
features: venv-test  ## what the last run proved, row by row; writes docs/features.md
	@$(BIN)/python tests/feature_rows.py
