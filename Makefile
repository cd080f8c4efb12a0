# `make reproduce` and `make test` set themselves up: they need Python 3.11+, git, make and a C compiler.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# `make reproduce STUDIES=npat`, or several: STUDIES="npat front". Others are neither made nor reported.
STUDIES ?=

# Containers and batch nodes may have no home that can be written to, or no name for the user: Snakemake and DVC end in
# tracebacks then.
CACHE := $(or $(XDG_CACHE_HOME),$(addsuffix /.cache,$(HOME)))
ifeq (,$(and $(CACHE),$(shell mkdir -p "$(CACHE)" 2>/dev/null && test -w "$(CACHE)" && echo usable)))
export XDG_CACHE_HOME := $(CURDIR)/.cache
endif
ifeq (,$(HOME))
export HOME := $(CURDIR)/.cache
endif
ifeq (,$(USER)$(LOGNAME)$(shell id -un >/dev/null 2>&1 && echo known))
export USER := $(shell id -u)
endif

.PHONY: reproduce test test-all test-slurm slurm lint format types bench gpu-check gpu-evidence gpu-bundle lock clean

reproduce: .venv/installed
	snakemake $(if $(STUDIES),--config "studies=$(STUDIES)")

# By file, as some files share a finished project: loadgroup of pytest-xdist 3.8 does not work with pytest 9.2.
test: .venv/installed
	pytest -n auto --dist loadfile -m "not slow and not gpu" tests

test-all: .venv/installed
	pytest -n auto --dist loadfile tests

# On a SLURM of this machine alone: docs/slurm.md
test-slurm: slurm
	pytest -m slurm tests

lint: .venv/installed
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow

format: .venv/installed
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

types: .venv/installed
	mypy

# Ours against other libraries, about ten minutes on two cores: docs/benchmarks. On a GPU: make bench BENCH="--device cuda"
bench: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks $(BENCH)

# On a machine with a GPU: is it right there, and how fast; then what a few epochs of real images come to.
# Where the GPU's machine has no registry: `make gpu-bundle`, and there what benchmarks/gpu/start.sh says.
gpu-check: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks.gpu check $(GPU)

gpu-evidence: .venv/installed
	$(BIN)/python -m benchmarks.gpu evidence $(GPU)

gpu-bundle: .venv/installed
	$(BIN)/python -m benchmarks.gpu.bundle .gpu $(GPU)

.venv-bench/installed: .venv/installed requirements-bench.lock
	test -x .venv-bench/bin/python || $(BIN)/python -m venv .venv-bench
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --require-hashes -r requirements.lock -r requirements-bench.lock
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --no-deps --no-build-isolation --editable .
	touch $@

# Exact versions with hashes; a fresh machine installs these and nothing else.
.venv/installed: requirements.lock requirements-bootstrap.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-bootstrap.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# Snakemake's executor for SLURM, for those who have one.
slurm: .venv/installed-slurm

.venv/installed-slurm: .venv/installed requirements-slurm.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-slurm.lock
	touch $@

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev pyproject.toml -o requirements.lock --custom-compile-command "make lock"
	echo snakemake-executor-plugin-slurm | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --constraint requirements.lock - -o requirements-slurm.lock --custom-compile-command "make lock"
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --group bench -c requirements.lock -o requirements-bench.lock --custom-compile-command "make lock"
	echo uv | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url - -o requirements-bootstrap.lock --custom-compile-command "make lock"

clean:
	rm -rf results reports checkpoints logs .snakemake
