# `make run` and `make test` need nothing but Python 3.11 (with venv) and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: run test lint bench bench-diagnosis docs deb apt-repo test-pi clean

# The exporter on a simulated meter. Says where to look; ends with Ctrl-C.
run: $(VENV)/run.stamp
	$(BIN)/p1-exporter run --serial.port='simulate://dsmr5'

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Figures, printed side by side; nothing is asserted.
bench: $(VENV)/bench.stamp
	$(BIN)/python -m tests.benchmarks

# How often the diagnosis of a simulated line is right. Ends with 1 where a bar is missed.
bench-diagnosis: $(VENV)/dev.stamp
	$(BIN)/python -m tests.benchmarks.diagnosis

# Pages that are generated from tables in the code.
docs: $(VENV)/dev.stamp
	$(BIN)/python -m p1_exporter.exposition.page > docs/metrics.md
	$(BIN)/python -m p1_exporter.doctor.page > docs/troubleshooting.md

# Packages for the Debian that this runs on; packaging/build-deb --help tells of others.
deb:
	packaging/build-deb build/deb

# A signed repository of these, to be served at URL. Its key is made once, and must be kept, and kept secret.
APT_KEY_FOLDER ?= $(HOME)/.local/share/p1-exporter/apt-key
apt-repo: deb
	packaging/apt-repo --key-folder '$(APT_KEY_FOLDER)' $(if $(URL),--url '$(URL)') build/apt-repo build/deb/*.deb

# The package on an emulated Raspberry Pi, as root: ten minutes the first time. tests/pi/image.py says what it needs.
test-pi: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -v tests/pi

$(VENV)/run.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo 'p1-exporter needs Python 3.11 or newer: $(PYTHON) is older. Try: make PYTHON=python3.11 $(MAKECMDGOALS)' >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	    || { echo 'No virtual environment could be made. On Debian and Raspberry Pi OS: sudo apt install python3-venv' >&2; exit 2; }
	$(BIN)/pip install --quiet --editable '.[doctor]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

# dsmr-parser is the program that the figures are measured against.
$(VENV)/bench.stamp: $(VENV)/dev.stamp
	$(BIN)/pip install --quiet 'dsmr-parser==1.11.2'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
