# The whole workflow. Every target sets up .venv by itself when needed: `make demo` works in a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed
READY_DEV := .venv/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo teleop test check bench bench-learning bench-teleop build

help:
	@echo "make demo   teach the simulated arm to pick a cube from camera images, with a simulated person (minutes)"
	@echo "make teleop drive that arm yourself: keyboard, gamepad or headset in the browser, SpaceMouse"
	@echo "make test   the whole test suite, as CI runs it"
	@echo "make check  format, lint, types, import rules"
	@echo "make bench  measure the speed of every hot path, 10 minutes; ARGS=--quick: 2 minutes"
	@echo "make bench-learning, make bench-teleop   the long measurements: training runs, the operator's side"
	@echo "make build  sdist and wheel, tried in an environment of their own"

demo: $(READY)
	$(BIN)/robot-hil demo $(ARGS)

teleop: $(READY)
	$(BIN)/robot-hil teleop $(ARGS)

# One numerical thread per test process: the processes already fill the cores. More than 8 of them gain nothing. Tests in
# one group, those with a browser, share a process.
test: $(READY_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup $(ARGS)

check: $(READY_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY_DEV)
	$(BIN)/python benchmarks/speed.py $(ARGS)

bench-learning: $(READY_DEV)
	$(BIN)/python benchmarks/learning.py $(ARGS)

bench-teleop: $(READY_DEV)
	$(BIN)/python benchmarks/teleop.py $(ARGS)

build: $(READY_DEV)
	$(BIN)/python .ci/build.py

$(READY): pyproject.toml .ci/bootstrap.py
	$(PYTHON) .ci/bootstrap.py

$(READY_DEV): pyproject.toml .ci/bootstrap.py
	$(PYTHON) .ci/bootstrap.py --dev
