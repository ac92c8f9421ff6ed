# make run      the service with its sandbox on 127.0.0.1:8080, open to everybody (PORT=8081 for another port)
# make test     all tests, in parallel (tests/README.md)
# make quick    all but those that need a browser, a server, a process of the service, or much time
# make lint     style, types of Python (tests too) and of the page's scripts, and who may import whom
# make catalogue  docs/rules/ anew, from knowledge/
# make conformance  docs/conformance.md anew: what the CDS Hooks text asks, and what came of the tests that show it
# make screenshots  docs/screenshots/ anew, from the sandbox (needs Chromium: .ci/install)
# make mutate   every decision of the knowledge changed in turn; which changes no worked patient notices
# make released  knowledge/RELEASED anew: version and content hash of the knowledge that is being released (RELEASING.md)
# make fuzz     all fuzzers for two minutes, or CDS_TEST_FUZZ=600 seconds; a case that fails is kept in tests/fuzz/found
# make bench    speed, next to a bare Flask app
# make lock     the lock files anew, from pyproject.toml (needs uv)
# make clean    away with everything that can be made again; feedback in var/ stays
#
# Every CDS_ variable that is set is passed on. PYTHON=/path/to/python names the interpreter to use.

PORT ?= $(or $(CDS_PORT),8080)
HOST := $(or $(CDS_HOST),127.0.0.1)
SANDBOX := http://127.0.0.1:$(PORT)/sandbox/fhir
PY := .venv/bin/python
PYTEST := $(PY) -m pytest -q -n auto --no-loadscope-reorder
LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes

run:
	@PYTHON="$(PYTHON)" sh requirements/install.sh run
	@CDS_OPEN="$${CDS_OPEN:-1}" CDS_SANDBOX="$${CDS_SANDBOX:-1}" CDS_HOST="$(HOST)" CDS_PORT="$(PORT)" \
	CDS_PUBLIC_URL="$${CDS_PUBLIC_URL:-http://127.0.0.1:$(PORT)}" CDS_FHIR_ALLOW="$(SANDBOX)$${CDS_FHIR_ALLOW:+,$$CDS_FHIR_ALLOW}" \
	exec $(PY) -m cds_service serve

# Tests start many Python processes, which would each compile all modules if compiled ones might not be kept.
test quick conformance: export PYTHONDONTWRITEBYTECODE :=

test:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@$(PYTEST)

quick:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@$(PYTEST) -m unit

lint:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo
	@tests/servers/tsc

catalogue:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@$(PY) -m cds_service export catalogue docs/rules

conformance:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@$(PYTEST) -m row --conformance=docs/conformance.md

screenshots:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@$(PY) -m tests.browser.screenshots docs/screenshots

mutate:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@$(PY) -m tests.knowledge.mutation

released:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@version=$$($(PY) -c 'from cds_service.artifacts.load import load_knowledge; print(load_knowledge().version)') \
	&& echo "$$version" > knowledge/RELEASED

fuzz:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@$(PY) -m tests.fuzz

bench:
	@PYTHON="$(PYTHON)" sh requirements/install.sh dev
	@for file in bench/bench_*.py; do echo "== $$file"; $(PY) $$file || exit 1; done

lock:
	$(LOCK) --upgrade --extra dev pyproject.toml requirements/build.in --output-file requirements/dev.txt
	$(LOCK) --constraint requirements/dev.txt pyproject.toml --output-file requirements/run.txt
	$(LOCK) --constraint requirements/dev.txt requirements/build.in --output-file requirements/build.txt

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find cds_service tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: run test quick lint catalogue conformance screenshots mutate released fuzz bench lock clean
