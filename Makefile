# Everything these targets write stays inside the checkout.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-block demo-h36m demo-3dhp airflow kubeflow experiments-quick browser screenshots \
  test test-serving test-environments test-faults test-load test-damage test-commands test-mutations \
  stack check site dist clean

# Not by its full path, in which there may be spaces.
bin := .venv/bin
stamp := .venv/.setup

# Where libraries would otherwise write to the home directory.
export LOCAL_HOME := $(CURDIR)/output/.tfx
export KERAS_HOME := $(CURDIR)/output/.keras
export MPLCONFIGDIR := $(CURDIR)/output/.matplotlib
export XDG_CACHE_HOME := $(CURDIR)/output/.cache

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: $(stamp)  ## make .venv from uv.lock; needs Python 3.11 or 3.10, or uv

$(stamp): pyproject.toml uv.lock .python-version scripts/setup.sh \
  $(addprefix pipeline/,pyproject.toml hatch_build.py tfx_cli.pth)
	@scripts/setup.sh
	@touch $@

demo: $(stamp)  ## run the local pipeline on the embedded recording
	. .venv/bin/activate && tfx run create --pipeline pipeline/local.py

demo-block: $(stamp)  ## the same, tested on a block of 40 frames far from those trained on
	. .venv/bin/activate && tfx run create --pipeline pipeline/local.py \
	  --runtime_parameter settings=pipeline/demo_block.json

# What a licence holder types, but for the folder and for settings fit for a small machine.
demo-h36m: output/simulated_h36m  ## the same on a simulated release of Human3.6M
	. .venv/bin/activate && tfx run create --pipeline pipeline/local.py \
	  --runtime_parameter data_root=$< --runtime_parameter settings=pipeline/demo_h36m.json

demo-3dhp: output/simulated_3dhp  ## the same on a simulated release of MPI-INF-3DHP
	. .venv/bin/activate && tfx run create --pipeline pipeline/local.py \
	  --runtime_parameter data_root=$< --runtime_parameter settings=pipeline/demo_3dhp.json

output/simulated_h36m: | $(stamp)
	rm -rf $@.partial
	$(bin)/keras-mvlift simulate human36m $@.partial --takes 15 --frames 200
	mv $@.partial $@

output/simulated_3dhp: | $(stamp)
	rm -rf $@.partial
	$(bin)/keras-mvlift simulate mpi_inf_3dhp $@.partial --frames 300
	mv $@.partial $@

airflow: $(stamp)  ## run a small pipeline as a DAG of Airflow, in an environment of its own
	@scripts/airflow.sh

kubeflow: $(stamp)  ## compile for Kubeflow and Vertex; hold the result against KFP's schema
	@scripts/kubeflow.sh

experiments-quick: $(stamp)  ## small runs of the paper's tables on the synthetic studio
	$(bin)/keras-mvlift experiments --output output/experiments/quick

# Without it the tests of pages in a browser are skipped.
browser:  ## put a headless Chromium and axe-core into output/, from npm
	@scripts/browser.sh

screenshots: $(stamp)  ## photograph every page, report and film into output/screenshots
	@scripts/browser.sh || true
	TF_CPP_MIN_LOG_LEVEL=3 PYTHONPATH=. $(bin)/python scripts/screenshots.py $(ARGS)

# With bytecode, for dozens of tests start processes, each of which would compile all sources anew.
test: $(stamp)  ## run the tests; ARGS="-k cameras" goes to pytest
	@scripts/browser.sh || true
	env -u PYTHONDONTWRITEBYTECODE $(bin)/python -m pytest $(ARGS)

# A label or a version may follow the model's name, and the model here must be that version.
test-serving: $(stamp)  ## test clients on a server: SERVER=grpc://HOST:PORT/MODEL MODEL=FOLDER
	$(bin)/python -m pytest -n0 tests/serving/remote_lifters_test.py \
	  $(if $(SERVER),--server "$(SERVER)" --served-model "$(or $(MODEL),output/mvlift)") $(ARGS)

test-environments: $(stamp)  ## try the wheel with NumPy alone and training, on 3.10 to 3.13
	$(bin)/python scripts/environments.py $(ARGS) $(PYTHONS)

test-faults: $(stamp)  ## kill runs in each component, fill the disk, lose a worker of Beam
	TF_CPP_MIN_LOG_LEVEL=3 PYTHONPATH=. $(bin)/python scripts/faults.py $(ARGS)

test-load: $(stamp)  ## try sizes, many clients and scarce resources, most of an hour
	PYTHONPATH=. $(bin)/python scripts/load.py $(ARGS)

damage = $(shell grep -rl assert_only_our_errors tests --include=*_test.py)

# A round of each reader is part of `make test`; these are others.
test-damage: $(stamp)  ## damage every kind of file in many more ways; ROUNDS=20 of them
	DAMAGE_ROUNDS=$(or $(ROUNDS),20) $(bin)/python -m pytest --timeout=0 $(damage) $(ARGS)

# The others are run by `make test`, but for what needs a network, a cluster or licensed data.
test-commands: $(stamp)  ## run the printed commands that take minutes; some hours in all
	$(bin)/python -m pytest -n0 -m commands --timeout=0 tests/documented_commands_test.py $(ARGS)

# Before files are moved and merged, and after: what notices is found by its name, not its place.
test-mutations: $(stamp)  ## break the product in many small ways; a test must notice each
	$(bin)/python scripts/mutations.py $(ARGS)

stack: $(stamp)  ## list locked packages by age; write output/sbom.json (CycloneDX)
	@mkdir -p output
	.tools/uv/bin/uv export --quiet --frozen --all-packages --all-extras --all-groups \
	  --preview-features sbom-export --format cyclonedx1.5 --output-file output/sbom.json
	$(bin)/python scripts/stack.py $(ARGS)

check: $(stamp) site dist  ## format, lint, types, import directions, site, distributions
	$(bin)/ruff format --check
	$(bin)/ruff check
	$(bin)/mypy
	$(bin)/lint-imports

# Also opened as files, with search and all.
site: $(stamp)  ## write the documentation as a site into output/site
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --quiet --strict

dist: $(stamp)  ## build what is published into output/dist; check it as an index does
	rm -rf output/dist
	$(bin)/python -m build --no-isolation --outdir output/dist
	$(bin)/python -m build --no-isolation --wheel --outdir output/dist pipeline
	$(bin)/python -m twine check --strict output/dist/*

clean:  ## remove all that these targets made, output/ included
	rm -rf .venv .tools output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
