# `make run` serves on http://127.0.0.1:8000 and `make test` tests; each first installs what it needs into .venv.

PYTHON ?= python3
CONTAINER ?= docker

SUPPORTED := 3.11 3.12 3.13 3.14
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
UV := uv==0.13.9
BIOME := @biomejs/biome@2.6.8
INSTALL := -m pip install --quiet --disable-pip-version-check
LOCK := .venv-lock/bin/uv --no-config pip compile --quiet --universal --python-version $(firstword $(SUPPORTED)) \
	--fork-strategy fewest --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock'

# Tests run in a process for each core; one that is through takes over what another has left.
SIDE_BY_SIDE := -n logical --dist worksteal

# The stamps carry Python's version: another PYTHON, like a changed lock, makes the environment anew.
SERVICE := .venv/service-$(VERSION)
LOOPS := .venv/loops-$(VERSION)
TOOLS := .venv/tools-$(VERSION)
PEERS := .venv-peers/peers-$(VERSION)
BENCH := .venv-bench/bench-$(VERSION)
LOCKER := .venv-lock/$(UV)-$(VERSION)

.PHONY: help run test test-all frameworks study bench load fuzz picture lint lock image clean

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: $(LOOPS) ## serve on http://127.0.0.1:8000
	.venv/bin/python -m app

test: $(TOOLS) ## run the tests that need a few minutes
	.venv/bin/python -m pytest $(SIDE_BY_SIDE)

test-all: test $(PEERS) ## the same, then the slow ones and those that need PyTorch, JAX, Keras, ONNX and others
	.venv-peers/bin/python -m pytest $(SIDE_BY_SIDE) -m 'slow or peers'
	@$(MAKE) --no-print-directory frameworks

# Frameworks that do not bear each other: an environment each, before that of the peers, which serves what it lacks.
# One that cannot be had here is skipped, and its own words are the reason.
frameworks: $(PEERS) ## hold the names of transformers, timm, tinygrad, MLX, Paddle and others against them
	@grep -v '^#' requirements-frameworks.txt | while read -r name packages; do \
	  at=.venv-frameworks/$$name; \
	  if [ ! -e $$at/made ]; then \
	    echo "Installing $$packages into $$at, once"; \
	    .venv-peers/bin/python -m venv $$at; \
	    echo "$(CURDIR)/.venv-peers/lib/python$(VERSION)/site-packages" \
	      > $$at/lib/python$(VERSION)/site-packages/peers.pth; \
	    $$at/bin/python $(INSTALL) $$packages && touch $$at/made; \
	  fi; \
	  $$at/bin/python -m pytest -m peers -rs tests/peers/test_frameworks.py -k "$$name:" < /dev/null || exit 1; \
	done

study: $(TOOLS) ## the tests that take many minutes: a hundred thousand formulas, verdicts held against training
	.venv/bin/python -m pytest -m study -o faulthandler_timeout=0

bench: $(BENCH) ## time everything beside PyTorch and Triton, in 15 minutes, and write docs/benchmarks.md
	.venv-bench/bin/python -m tests.benchmarks

load: $(TOOLS) ## send twice what the service can take, then break things; write docs/benchmarks.md
	.venv/bin/python -m tests.benchmarks.load

fuzz: $(TOOLS) ## send damaged requests of every kind for ten minutes; what is found goes to tests/fuzz/corpus
	.venv/bin/python -m tests.fuzz --count 5000

picture: $(TOOLS) ## draw the documents' pictures again
	.venv/bin/python -m tests.test_readme_picture

lint: $(TOOLS) ## check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict app tests
	@if command -v npx >/dev/null; then npx --yes $(BIOME) lint --error-on-warnings; \
	else echo 'npm is not installed: the page is not linted'; fi

lock: $(LOCKER) ## write requirements*.txt from pyproject.toml; what is locked stays (delete a file to renew it)
	$(LOCK) pyproject.toml --extra server -o requirements.txt
	$(LOCK) pyproject.toml --extra server --group dev -c requirements.txt -o requirements-dev.txt
	$(LOCK) pyproject.toml --extra server --group dev --group peers -c requirements-dev.txt -o requirements-peers.txt
	$(LOCK) --group bench --no-deps -o requirements-bench.txt
	$(LOCK) pyproject.toml --all-extras -c requirements-dev.txt -o requirements-image.txt

image: ## build the container image
	$(CONTAINER) build -t activation-lab .

clean: ## remove everything that make made
	rm -rf .venv .venv-peers .venv-frameworks .venv-bench .venv-lock .mypy_cache .pytest_cache .ruff_cache .hypothesis

define environment
	$(if $(filter $(VERSION),$(SUPPORTED)),,$(error Activation Lab needs Python $(SUPPORTED), and $(PYTHON) is $(or $(VERSION),missing): name another one with PYTHON=python3.13))
	@echo "Installing $(or $<,$(UV)) into $(@D), once"
	@$(PYTHON) -m venv --clear $(@D)
endef

$(SERVICE): requirements.txt
	$(environment)
	@.venv/bin/python $(INSTALL) --require-hashes -r $<
	@touch $@

# Made here, so that no first request waits for them; after a change, those that it is about.
$(LOOPS): $(SERVICE) $(shell find app/core -name '*.py')
	@echo "Compiling the most used loops, once"
	@.venv/bin/python -m app.core --most-used
	@touch $@

$(TOOLS): requirements-dev.txt $(SERVICE)
	@echo "Installing $< into $(@D), once"
	@.venv/bin/python $(INSTALL) --require-hashes -r $<
	@touch $@

# The lock goes on last, and whole: sympy, which comes with PyTorch, asks for an older mpmath than the tests' judge is,
# and PyTorch computes no activation with sympy.
$(PEERS): requirements-peers.txt requirements-torch.txt
	$(environment)
	@.venv-peers/bin/python $(INSTALL) -r requirements-torch.txt
	@.venv-peers/bin/python $(INSTALL) --no-deps --require-hashes -r $<
	@touch $@

# Peers that cannot be had here are reported in the tables; the rest is measured all the same. Triton's package asks
# for NumPy 1 and a client, which only its Python interface needs: the server alone is started.
$(BENCH): requirements.txt requirements-bench.txt requirements-torch.txt
	$(environment)
	@.venv-bench/bin/python $(INSTALL) --require-hashes -r $<
	-@.venv-bench/bin/python $(INSTALL) -r requirements-torch.txt
	-@.venv-bench/bin/python $(INSTALL) --no-deps --require-hashes -r requirements-bench.txt
	@touch $@

$(LOCKER):
	$(environment)
	@.venv-lock/bin/python $(INSTALL) $(UV)
	@touch $@
