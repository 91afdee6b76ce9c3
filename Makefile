# Everything runs in .venv; nothing but Python 3.11+ is needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := fixtures/captures/cma_pin_vmsplice

.PHONY: help demo test test-matrix test-guests lint types wheel bench clean
help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -q tracereplay  # start-up, also where PYTHONDONTWRITEBYTECODE is set
	touch $@

demo: $(VENV)/installed  ## explain a real failed CMA allocation
	$(BIN)/tracereplay blame $(DEMO)/trace.dat --layout $(DEMO)/layout_before --kernel-log $(DEMO)/dmesg.txt
	$(BIN)/tracereplay blame $(DEMO)/trace.dat --layout $(DEMO)/layout_before --kernel-log $(DEMO)/dmesg.txt \
		--quiet --format json --output report.json --out report.tables
	$(BIN)/tracereplay report report.json --format html --output report.html
	@echo
	@echo "To click through: report.html. The whole result: report.json, and as Parquet tables in report.tables/"

test: $(VENV)/installed  ## run every test
	$(BIN)/python -m pytest

test-matrix:  ## Python 3.11 to 3.13 where installed, and the lowest versions promised
	.ci/matrix

test-guests: $(VENV)/installed  ## install QEMU and Debian's cloud kernels (root), record in guests: an hour or more
	apt-get install -y -q qemu-system-x86 busybox-static cpio gcc libc6-dev
	-apt-get install -y -q qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	tests/guests/kernels.sh $(VENV)/guest-kernels
	TRACEREPLAY_GUESTS=1 TRACEREPLAY_GUEST_KERNELS=$$(echo $(CURDIR)/$(VENV)/guest-kernels/* | tr ' ' :) \
		$(BIN)/python -m pytest -m guests tests/guests

lint: $(VENV)/installed  ## style and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/installed  ## mypy and pyright
	$(BIN)/mypy
	$(BIN)/pyright --threads 2

wheel: $(VENV)/installed  ## a wheel for this platform with compiled kernels: its first run compiles nothing
	rm -rf build/kernels
	$(BIN)/python .ci/compile_kernels.py build/kernels
	$(BIN)/python -m build --no-isolation --wheel --outdir dist .

bench: $(VENV)/installed  ## measure against trace-cmd (see benchmarks/README.md)
	$(BIN)/python -m benchmarks.speed

clean:  ## remove what was made
	rm -rf $(VENV) .venv-* report.html report.json report.tables build dist
