"""The content of a `results.json` of two tables, small enough to check by eye."""

import copy


def figures(mpjpe, spread=None, seeds=1):
    """Five figures of which the others follow from the first."""
    scales = {"mpjpe_mm": 1.0, "n_mpjpe_mm": 0.9, "p_mpjpe_mm": 0.5, "pck_150": 0.8, "auc": 0.4}
    return {
        name: {"mean": scale * mpjpe, "spread": spread, "seeds": seeds}
        for name, scale in scales.items()
    }


def _cell(status="done", error=None, curve=()):
    return {"seed": 0, "status": status, "error": error, "seconds": 1.0, "curve": list(curve)}


def _row(name, cells, overall, per_action=None):
    return {
        "name": name,
        "cells": cells,
        "overall": overall,
        "mean_over_actions": overall,
        "per_action": per_action or {},
    }


def _curve():
    stages = [("pretrain", 1), ("finetune", 1), ("finetune", 2)]
    return [
        {"stage": stage, "epoch": epoch, "loss": 30.0 / epoch, "mpjpe_mm": 200.0 / epoch}
        for stage, epoch in stages
    ]


def _pose(error):
    return {"mpjpe_mm": error, "joints": [[10 * joint, -5 * joint, joint] for joint in range(17)]}


def _table(name, title, rows, **changes):
    table = {
        "name": name,
        "title": title,
        "note": "",
        "is_per_action": False,
        "has_curves": False,
        "rows": rows,
        "published": [],
        "cases": [],
        "left_out": [],
    }
    return table | changes


_PER_ACTION = _table(
    "table1",
    "Table 1",
    [
        _row("ours", [_cell()], figures(60.0, 1.25, 3), {"walking": figures(50.0, 0.5, 3)}),
        _row("other", [_cell("diverged", "the loss must be finite")], {}),
        _row("not run", [], {}),
    ],
    is_per_action=True,
    note="Mind <this>.",
    left_out=["long one", "long two"],
    published=[{"title": "Human3.6M", "columns": ["Walk"], "rows": {"ours": [43.8], "b": [None]}}],
)
_CURVES = _table(
    "figure6", "Figure 6", [_row("with", [_cell(curve=_curve())], figures(70.0))], has_curves=True
)
_SWEEP = _table(
    "cameras",
    "Number of cameras",
    [_row("2", [_cell()], figures(90.0)), _row("4", [_cell()], figures(60.0, 2.0, 2))],
    cases=[
        {
            "title": "Best of 9 views for ours",
            "view": {"clip": "</script><b>", "camera": "cam", "frame": 3},
            "poses": {"true": _pose(0.0), "ours": _pose(31.4)},
        }
    ],
)
_RESULTS = {
    "format": 1,
    "profile": "tiny",
    "budget": {"width": 8, "num_epochs": 2, "steps_per_epoch": 3, "batch_size": 16},
    "seeds": [0, 1],
    "code": "0123456789abcdef",
    "data": {
        "source": "motions",
        "paths": [{"name": "walks.npz", "sha256": "00"}],
        "filming": {"rig": "ring", "noise_px": 5.0},
        "counts": {"clips": 12, "test_people": 3},
    },
    "tables": [_PER_ACTION, _CURVES, _SWEEP],
}


def make():
    """Returns a copy to change."""
    return copy.deepcopy(_RESULTS)
