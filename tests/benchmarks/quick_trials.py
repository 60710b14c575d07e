"""Runs a benchmark's quick trial from its command line."""

import json
import sys

import pytest


def figures(benchmark, folder, *options):
    """Runs it; gives the figures that it wrote."""
    path = folder / "figures.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [benchmark.__name__, "--quick", "--json", str(path), *options])
        benchmark.main()
    return json.loads(path.read_text())
