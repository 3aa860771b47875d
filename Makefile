# Everything a newcomer needs: each target installs what it uses into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
SAY := install one with its venv module, and name it, as in make PYTHON=python3.11
# A .venv that another Python made, or whose making was interrupted, is made anew.
USABLE := { $(BIN)/python -c "$(SUPPORTED)" && $(BIN)/python -m pip --version; } >/dev/null 2>&1
# A core a process: threads of several processes would wait for one another.
PARALLEL := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto

# Folders whose tests of commands and pages start no Ray.
WITHOUT_RAY := tests/report tests/repository

# Tests are compiled once, with their assertions, and not by each process: that takes longer than to run most of them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: quickstart check test lint types unit bench chaos soak docs docs-serve clean

quickstart: .venv/installed
	$(BIN)/ganray train jobs/quickstart.yaml $(OVERRIDES)
	$(BIN)/ganray generate store/models/quickstart --num 64 --out store/quickstart.png

# What to run before each commit: style, types and the tests that need neither network nor Ray: two minutes on two quiet cores.
# Types are checked beside the first tests: mypy uses one core.
check: lint
	@$(MAKE) --no-print-directory --jobs 2 types unit COVERAGE="$(COVERAGE)"

# Every tier that CI runs: `make check` with coverage, then a real S3 server, local Ray clusters and whole commands: a quarter of an hour on two quiet cores.
test: COVERAGE = --cov --cov-report=term:skip-covered
test: check
	@# what has no Ray, and mostly waits, runs beside what has one, whose processes wait for each other; its output comes at the end
	@# a process a folder: hundreds of Rays that one process starts and ends have crashed it; 5: a folder whose Ray tests are all slow
	@output=$$(mktemp); \
	($(PARALLEL) --dist loadfile -m storage; storage=$$?; $(BIN)/pytest $(WITHOUT_RAY) -m "e2e and not slow" && exit $$storage) \
	  >$$output 2>&1 & beside=$$!; failed=0; \
	for folder in $$(grep -rlE "mark\.(cluster|e2e)" tests --include="test_*.py" | xargs dirname | sort -u); do \
	  case " $(WITHOUT_RAY) " in *" $$folder "*) continue;; esac; \
	  $(BIN)/pytest $$folder -m "(cluster or e2e) and not chaos and not slow" || [ $$? = 5 ] || failed=1; \
	done; \
	wait $$beside || failed=1; cat $$output; rm $$output; exit $$failed

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

# A process that has run its half of the tests takes some of another's.
unit: .venv/installed
	$(PARALLEL) --dist worksteal -m unit $(COVERAGE)

bench: .venv/installed
	$(BIN)/python -m benchmarks

# Long proofs that nothing is lost: runs on a cluster of which something is killed every few seconds for MINUTES, as by
# `make chaos MINUTES=20`, storms on a bad network, a server among hostile clients, and the slowest tests.
chaos: MINUTES = 10
chaos: .venv/installed
	$(BIN)/python -m tests.chaos.cluster --minutes $(MINUTES)
	$(BIN)/python -m tests.chaos
	$(BIN)/python -m tests.chaos.serve
	$(BIN)/pytest -m "chaos or slow"

# Whether short runs one after another, or a long one, take more and more memory, handles or threads: `make soak MINUTES=60`.
soak: MINUTES = 60
soak: .venv/installed
	$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES)

# The documentation site, in site/; or on a port of this machine, made anew at each change.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

docs-serve: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

clean:
	rm -rf .venv store site

.venv/installed: pyproject.toml constraints.txt
	@$(USABLE) || $(PYTHON) -c "$(SUPPORTED)" || { echo "error: PYTHON: '$(PYTHON)' is not Python 3.11 or 3.12; $(SAY)" >&2; exit 1; }
	@$(USABLE) || $(PYTHON) -m venv --clear .venv || { rm -rf .venv; echo "error: PYTHON: '$(PYTHON)' makes no venv; $(SAY)" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
