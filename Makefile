# Everything these targets write stays inside the checkout.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check clean

bin := $(CURDIR)/.venv/bin
stamp := .venv/.setup

# Where libraries would otherwise write to the home directory.
export LOCAL_HOME := $(CURDIR)/output/.tfx
export KERAS_HOME := $(CURDIR)/output/.keras
export MPLCONFIGDIR := $(CURDIR)/output/.matplotlib
export XDG_CACHE_HOME := $(CURDIR)/output/.cache

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 14

setup: $(stamp)  ## make .venv from uv.lock; needs Python 3.10, or uv

$(stamp): pyproject.toml uv.lock .python-version pipeline/tfx_cli.pth scripts/setup.sh
	@scripts/setup.sh
	@touch $@

demo: $(stamp)  ## run the local pipeline on the embedded recording
	. .venv/bin/activate && tfx run create --pipeline pipeline/local.py

test: $(stamp)  ## run the tests; ARGS="-k cameras" goes to pytest
	$(bin)/python -m pytest $(ARGS)

check: $(stamp)  ## format, lint, types, import directions
	$(bin)/ruff format --check
	$(bin)/ruff check
	$(bin)/mypy
	$(bin)/lint-imports

clean:  ## remove all that these targets made, output/ included
	rm -rf .venv .tools output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
