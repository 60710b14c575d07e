"""How well the score without labels tells good runs from bad ones, over all cells of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from scipy import stats

from keras_mvlift.metrics import held_out_views

ERROR = "mpjpe_mm"
SCORES = tuple(f"held_out_{name}" for name in held_out_views.SCORE_NAMES)
# Of fewer cells a correlation says nothing.
MIN_CELLS = 4


def correlate(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Correlates scores and errors of the cells that were tested on the same data.

    Args:
        tables: Those of `results.json`; a cell of several tables counts once.

    Returns:
        For each test set with so many cells that it says something, the largest first: `test`,
        its digest; `cells`, each with `row`, `seed`, the error and the scores; `scores`, name to
        `pearson` and `spearman`, both of the score and the error.
    """
    by_test: dict[str, dict[str, dict[str, Any]]] = {}
    for table in tables:
        for row in table["rows"]:
            for cell in row["cells"]:
                overall = (cell["figures"] or {}).get("overall", {})
                if all(name in overall for name in SCORES):
                    point = {"row": f"{table['name']}: {row['name']}", "seed": cell["seed"]}
                    point |= {name: overall[name] for name in (ERROR, *SCORES)}
                    by_test.setdefault(cell["test"], {}).setdefault(cell["digest"], point)
    found = [(test, list(cells.values())) for test, cells in by_test.items()]
    return [
        {"test": test, "cells": cells, "scores": {name: _both(cells, name) for name in SCORES}}
        for test, cells in sorted(found, key=lambda item: -len(item[1]))
        if len(cells) >= MIN_CELLS
    ]


def _both(cells: Sequence[Mapping[str, Any]], name: str) -> dict[str, float | None]:
    errors, scores = [cell[ERROR] for cell in cells], [cell[name] for cell in cells]
    # Of equal numbers there is no correlation.
    if min(len(set(errors)), len(set(scores))) < 2:
        return {"pearson": None, "spearman": None}
    return {
        "pearson": float(stats.pearsonr(scores, errors)[0]),
        "spearman": float(stats.spearmanr(scores, errors)[0]),
    }
