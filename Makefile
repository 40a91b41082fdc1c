VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
# checkov has an environment of its own: its pins contradict those of what is deployed.
CHECKOV := .tools/checkov
CHECKOV_VERSION := 3.1.47
CHECKOV_READY := $(CHECKOV)/.ready-$(CHECKOV_VERSION)
# cosmic-ray runs the tests as a user would, so it needs nothing of what is deployed, nor to be locked with it.
MUTANTS := .tools/mutants
MUTANTS_VERSION := 8.7.0
MUTANTS_READY := $(MUTANTS)/.ready-$(MUTANTS_VERSION)
LOCK := $(VENV)/bin/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.13 --no-emit-index-url --no-header
JOBS ?= 20000
SEED ?= 7

.PHONY: check run demo demo-data reset test test-slow lint format docs wheel bench bench-e2e burst mutants faults terraform-check lock clean help
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | column -t -s '	'

$(READY): requirements.txt requirements-dev.txt local/setup
	@./local/setup $(VENV)

check: $(READY)  ## everything that has to hold before a change lands: lint, tests, Terraform
	@for step in lint test test-slow terraform-check; do echo "check: $$step"; $(MAKE) --no-print-directory $$step || exit 1; done
	@echo "check: ok"

run: $(READY)  ## the whole loop on this machine, left running until Ctrl-C
	@$(PYTHON) -m local.stack

demo: $(READY)  ## publish 200 jobs through a stack of its own, print what became of each, check that it adds up
	@$(PYTHON) -m local.demo

demo-data: $(READY)  ## thirty days of messages and jobs in the BigQuery of make run, for docs/analytics.md
	@$(PYTHON) -m local.demo month

reset: $(READY)  ## remove the data and logs of make run and make demo, and nothing else
	@$(PYTHON) -m local.stack reset

test: $(READY)  ## the tests, three at a time, but for Terraform's and those that take minutes
	@$(PYTHON) -m pytest -m "not slow" --ignore=tests/terraform --numprocesses=3 --dist=loadfile --no-loadscope-reorder

test-slow: $(READY)  ## the tests that run whole stacks for minutes: outages, pauses, traces, the console in a browser
	@$(PYTHON) -m pytest -m slow --ignore=tests/terraform --numprocesses=2 --dist=loadfile

lint: $(READY)  ## ruff and mypy
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy shared functions local ops bench docs

format: $(READY)  ## rewrite the code as lint wants it
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

docs: $(READY)  ## write docs/jobs.md and docs/schemas anew from the types, and the results in docs/analytics.md
	@$(PYTHON) -m docs.generate
	@$(PYTHON) -m docs.analytics

wheel: $(READY)  ## the publisher for applications, as build/dist/customerio_jobs-*.whl
	@$(VENV)/bin/uv build --quiet --wheel --out-dir build/dist .

bench: $(READY)  ## speed, memory and cold starts beside four peers, in one run: QUICK=1, COMPARE=REV
	@$(PYTHON) -m bench $(if $(QUICK),--quick) $(if $(COMPARE),--compare $(COMPARE))

bench-e2e: $(READY)  ## the whole loop on this machine, and which process bounds it: JOBS=1000,10000,100000
	@$(PYTHON) -m bench.end_to_end --jobs $(JOBS)

mutants: $(READY) $(MUTANTS_READY)  ## plant faults in shared/, one by one, each of which a test has to see: ONLY=shared/customerio/breaker.py
	@$(PYTHON) -m tests.mutants $(ONLY)

faults: $(READY)  ## the fault-injection run: JOBS=20000 SEED=7
	@$(PYTHON) -m tests.faults --jobs $(JOBS) --seed $(SEED)

burst: $(READY)  ## 5,000 and 10,000 sends at once: how long they take, and what urgent ones notice
	@$(PYTHON) -m tests.faults.burst

terraform-check: $(READY) $(CHECKOV_READY)  ## everything that can be known of the Terraform files without a cloud
	@PATH="$(CURDIR)/$(CHECKOV)/bin:$$PATH" ./terraform/check
	@$(PYTHON) -m pytest tests/terraform

$(CHECKOV_READY):
	@echo "checkov $(CHECKOV_VERSION): installing it into $(CHECKOV)"
	@rm -rf $(CHECKOV)
	@$(PYTHON) -m venv $(CHECKOV)
	@$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check checkov==$(CHECKOV_VERSION)
	@touch $@

$(MUTANTS_READY):
	@echo "cosmic-ray $(MUTANTS_VERSION): installing it into $(MUTANTS)"
	@rm -rf $(MUTANTS)
	@$(PYTHON) -m venv $(MUTANTS)
	@$(MUTANTS)/bin/python -m pip install --quiet --disable-pip-version-check cosmic-ray==$(MUTANTS_VERSION)
	@touch $@

lock: $(READY)  ## newest versions that requirements.in and requirements-dev.in allow, pinned; CONTRIBUTING.md says what to read then
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt
	@git --no-pager diff --stat -- requirements.txt requirements-dev.txt
	@echo "Newer releases of what is pinned by hand:"
	@$(VENV)/bin/uv pip list --python $(PYTHON) --outdated | grep -iE "$$(sed -nE 's/^([a-z0-9-]+)==.*/^\1 /p' requirements.in requirements-dev.in | paste -sd'|' -)" || echo "none"

clean:  ## remove what make made
	@rm -rf $(VENV) .local .tools build .mypy_cache .ruff_cache .pytest_cache .hypothesis
