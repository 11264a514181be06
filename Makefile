# Everything happens in .venv; `make run` and `make test` are all a new user needs.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do if $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then echo $$p; break; fi; done)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup run test check bench pictures clean
setup: $(READY)
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "prune-tui needs Python 3.11, 3.12 or 3.13; none was found on PATH"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

run: $(READY)
	$(BIN)/prune-tui

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@for b in tests/benchmarks/[a-z]*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

pictures: $(READY)
	$(BIN)/python docs/make_pictures.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
