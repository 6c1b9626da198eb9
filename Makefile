# The way in. `make run` is the whole tour; `make test` is what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run install test test-all lint format bench bench-gpu bench-search clean

run: $(VENV)/.installed
	$(BIN)/tune run search_spaces/mnist.yaml

install: $(VENV)/.installed

test: $(VENV)/.installed-test $(VENV)/.browser lint
	$(BIN)/pytest -q -m "not slow" -n 2 --dist loadfile

test-all: $(VENV)/.installed-test $(VENV)/.browser lint
	$(BIN)/pytest -q -n 2 --dist loadfile

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# One after the other, on a machine with nothing else to do: each writes its dated record into benchmarks/records/.
bench: $(VENV)/.installed
	$(BIN)/python benchmarks/store_reports.py --record
	$(BIN)/python benchmarks/trainer_epoch.py --record
	$(BIN)/python benchmarks/local_overhead.py --record
	$(BIN)/python benchmarks/ray_overhead.py --record
	$(BIN)/python benchmarks/segments_per_worker.py --record
	$(BIN)/python benchmarks/simulated_events.py --record
	$(BIN)/python benchmarks/lane_driver.py --record
	$(BIN)/python benchmarks/auto_batches.py --record
	$(BIN)/python benchmarks/mnist_study.py --record
	$(if $(TUNER_BENCH_DATA),$(MAKE) bench-search,@echo 'Left out, as TUNER_BENCH_DATA names no folder: make bench-search')

# Hours; goes on where it was stopped. Peers that take more than 5 s of their own a study get 3 seeds on 8 tasks.
FAST := auto,asha+random,random,optuna-tpe,ray-optuna+asha,dehb
SLOW := optuna-gp,syne-tune-bohb,smac-multi-fidelity,neps-priorband
RESULTS ?= runs/search.jsonl
SEARCH := $(BIN)/python benchmarks/search
bench-search: $(VENV)/.installed-bench
	mkdir -p $(dir $(RESULTS))
	$(SEARCH)/run.py --methods $(FAST) --out $(RESULTS)
	$(SEARCH)/run.py --methods $(SLOW) --seeds 3 --tasks 8 --out $(RESULTS)
	$(SEARCH)/report.py $(RESULTS) --ours auto --record
	$(SEARCH)/picture.py $(RESULTS) --methods $(FAST),$(SLOW) --out docs/images

# One GPU for the first two, two for the last.
bench-gpu: $(VENV)/.installed
	$(BIN)/python benchmarks/trainer_gpu.py --record
	$(BIN)/python benchmarks/lanes.py --record
	$(BIN)/python benchmarks/ddp_scaling.py --record

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@

# Chromium for tests/browser: that which is there, or, for root where there is apt-get, that of the system's packages.
BROWSERS := chromium chromium-browser google-chrome
HAS_BROWSER := for name in $(BROWSERS); do command -v $$name > /dev/null && exit 0; done; exit 1
$(VENV)/.browser: | $(VENV)/bin/python
	@if ($(HAS_BROWSER)); then touch $@; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		(apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y chromium) > /dev/null 2>&1; \
		if ($(HAS_BROWSER)); then touch $@; \
		else echo 'Chromium could not be installed: the tests in a browser will be skipped.'; fi; \
	else echo 'No Chromium ($(BROWSERS)) on the PATH: the tests in a browser will be skipped.'; fi

$(VENV)/.installed-bench: $(VENV)/.installed benchmarks/search/environments.py
	$(PIP) install --constraint constraints.txt --editable '.[bench]'
	$(SEARCH)/environments.py
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
