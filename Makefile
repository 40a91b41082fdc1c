VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
JOBS ?= 20000
SEED ?= 7

.PHONY: run demo reset test lint format docs wheel bench faults terraform-check lock clean help
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | column -t -s '	'

$(READY): requirements.txt requirements-dev.txt local/setup
	@./local/setup $(VENV)

run: $(READY)  ## the whole loop on this machine, left running until Ctrl-C
	@$(PYTHON) -m local.stack

demo: $(READY)  ## publish 200 jobs through a stack of its own, print what became of each, check that it adds up
	@$(PYTHON) -m local.demo

reset: $(READY)  ## remove the data and logs of make run and make demo, and nothing else
	@$(PYTHON) -m local.stack reset

test: $(READY)  ## all tests but Terraform's
	@$(PYTHON) -m pytest --ignore=tests/terraform

lint: $(READY)  ## ruff and mypy
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy shared functions local ops bench docs

format: $(READY)  ## rewrite the code as lint wants it
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

docs: $(READY)  ## write docs/jobs.md and docs/schemas anew from the types
	@$(PYTHON) -m docs.generate

wheel: $(READY)  ## the publisher for applications, as build/dist/customerio_jobs-*.whl
	@$(VENV)/bin/uv build --quiet --wheel --out-dir build/dist .

bench: $(READY)  ## speed and memory beside two peers, measured in one run
	@$(PYTHON) -m bench

faults: $(READY)  ## the fault-injection run: JOBS=20000 SEED=7
	@$(PYTHON) -m tests.faults --jobs $(JOBS) --seed $(SEED)

terraform-check: $(READY)  ## everything that can be known of the Terraform files without a cloud
	@./terraform/check
	@$(PYTHON) -m pytest tests/terraform

lock: $(READY)  ## pin requirements.in and requirements-dev.in anew
	@$(VENV)/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.13 --no-emit-index-url --no-header requirements.in -o requirements.txt
	@$(VENV)/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.13 --no-emit-index-url --no-header requirements-dev.in -o requirements-dev.txt

clean:  ## remove what make made
	@rm -rf $(VENV) .local .tools build .mypy_cache .ruff_cache .pytest_cache .hypothesis
