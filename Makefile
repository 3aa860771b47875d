# Everything a newcomer needs: `make quickstart` and `make test` install what they use into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: quickstart test lint bench chaos clean

quickstart: .venv/installed
	$(BIN)/ganray train jobs/quickstart.yaml $(OVERRIDES)
	$(BIN)/ganray generate store/models/quickstart --num 64 --out store/quickstart.png

test: .venv/installed
	$(BIN)/pytest --numprocesses auto --dist loadfile -m "not cluster and not e2e and not chaos and not slow"
	$(BIN)/pytest -m "(cluster or e2e) and not chaos and not slow"

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/installed
	$(BIN)/python -m benchmarks

# Long proofs that nothing is lost on a bad network, and the slowest tests: about twenty minutes.
chaos: .venv/installed
	$(BIN)/python -m tests.chaos
	$(BIN)/pytest -m "chaos or slow"

clean:
	rm -rf .venv store

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
