# The first Python that is new enough; `make PYTHON=/path/to/python up` takes another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)

.PHONY: help up down test check bench soak tools tools-dev tools-test

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' Makefile

up: tools  ## the whole environment on this machine, up to the first report and the answering API
	@.venv/bin/herd up

down: tools  ## remove all of it
	@.venv/bin/herd down

test: tools-test check  ## everything the project promises
	@.venv/bin/pytest -n auto --dist loadgroup --durations 30

check: tools-dev  ## style, types and import boundaries
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

bench: tools-dev  ## each figure as a ratio against a yardstick of the same run
	@.venv/bin/python -m bench

SOAK ?=
soak: tools-dev  ## kills, commands that meet, cycles and lives, many of each: make soak SOAK="--kills 2 --rounds 1 --cycles 4"
	@.venv/bin/python -m soak $(SOAK)

tools:
	@$(or $(PYTHON),$(error Herd needs Python 3.11 or newer; found none)) src/herd/toolchain/setup.py

tools-dev:
	@$(or $(PYTHON),$(error Herd needs Python 3.11 or newer; found none)) src/herd/toolchain/setup.py --dev

tools-test:
	@$(or $(PYTHON),$(error Herd needs Python 3.11 or newer; found none)) src/herd/toolchain/setup.py --test
