"""What was measured, gathered from the cells: the dictionary that becomes `results.json`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mvlift.experiments import runs, tables, variants
from keras_mvlift.metrics import pose_error

FORMAT = 1


def gather(experiments: runs.Experiments) -> dict[str, Any]:
    """Gathers the cells of all tables, finished or not, as docs/experiments.md describes it."""
    found = experiments.found()
    seeds = {seed for by_seed in found.values() for seed in by_seed} - set(experiments.seeds)
    # Counts are of the data that no row changes, or else of any row's.
    plain = dataclasses.asdict(variants.DataSettings())
    records = [r for by_seed in found.values() for r in by_seed.values() if r.get("data")]
    records.sort(key=lambda r: r["settings"]["variant"]["data"] != plain)
    return {
        "format": FORMAT,
        "profile": experiments.profile.name,
        "budget": dataclasses.asdict(experiments.profile.budget),
        "seeds": [*experiments.seeds, *sorted(seeds)],
        "code": runs.code_digest(),
        "data": experiments.description | {"counts": records[0]["data"] if records else None},
        "tables": [
            _table(experiments, table, names, found) for table, names in _shown(experiments, found)
        ],
    }


def spread(figures: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """Returns mean, sample standard deviation and count of each figure over the seeds of a row.

    The deviation of one seed is None.
    """
    return {name: _mean([values[name] for values in figures], "seeds") for name in _first(figures)}


def over_people(cells: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | int | None]]:
    """Adds to `spread` how much people differ.

    Of each figure that is measured of every person: what `spread` gives of all test views,
    `people`, their number, and `people_spread`, the sample standard deviation over them of the
    mean over seeds; None for a single one.
    """
    overall = spread([figures["overall"] for figures in cells])
    people = [figures["per_person"] for figures in cells]
    result = {}
    # All cells of a row are tested on the same people.
    for name in _first([*_first(people).values()]):
        means = [np.mean([of[person][name] for of in people]) for person in people[0]]
        over = _mean(means, "people")
        about = {"people": over["people"], "people_spread": over["spread"]}
        result[name] = overall[name] | about
    return result


def _first(many: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return many[0] if many else {}


def _mean(values: Sequence[float], counted: str) -> dict[str, float | int | None]:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "spread": deviation, counted: len(values)}


def _shown(
    experiments: runs.Experiments, found: runs.Found
) -> list[tuple[tables.Table, list[str]]]:
    """Chooses tables and names of their rows: what was asked for, and what is finished anyway.

    A cell may belong to several tables. One that nobody asked for is left out if it has but a
    single cell, and another table shows that.
    """
    known = experiments.known or experiments.chosen
    asked = {table.name: {row.name for row in table.rows} for table in experiments.chosen}
    shown: dict[str, list[str]] = {}
    covered: set[str] = set()
    for table in sorted(known, key=lambda table: table.name not in asked):
        wanted = asked.get(table.name, set())
        names = [
            row.name
            for row in table.rows
            if row.name in wanted
            or any(r["status"] in runs.FINISHED for r in _records(row, found).values())
        ]
        cells = {variants.digest(row.variant) for row in table.rows if row.name in names}
        if table.name in asked or len(cells) > 1 or cells - covered:
            shown[table.name] = names
            covered |= cells
    return [(table, shown[table.name]) for table in known if table.name in shown]


def _records(row: tables.Row, found: runs.Found) -> dict[int, dict[str, Any]]:
    return dict(sorted(found.get(variants.digest(row.variant), {}).items()))


def _table(
    experiments: runs.Experiments, table: tables.Table, names: list[str], found: runs.Found
) -> dict[str, Any]:
    measured = [_row(row, _records(row, found)) for row in table.rows if row.name in names]
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "is_per_action": table.is_per_action,
        "has_curves": table.has_curves,
        "has_joint_shares": table.has_joint_shares,
        "rows": measured,
        "left_out": [row.name for row in table.rows if row.name not in names],
        "published": PUBLISHED[table.published] if table.published else (),
        "cases": choose(experiments.store, measured) if table.has_cases else [],
    }


def _row(row: tables.Row, records: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    done = [record["figures"] for record in records.values() if record["figures"]]
    actions = sorted({name for figures in done for name in figures["per_action"]})
    kept = ("digest", "truth", "test", "status", "error", "seconds", "figures", "curve")
    return {
        "name": row.name,
        "variant": dataclasses.asdict(row.variant),
        "cells": [
            {"seed": seed} | {name: record[name] for name in kept}
            for seed, record in records.items()
        ],
        "overall": spread([figures["overall"] for figures in done]) | over_people(done),
        "mean_over_actions": spread([figures["mean_over_actions"] for figures in done]),
        "per_person": {
            person: spread([figures["per_person"][person] for figures in done])
            for person in (_first(done).get("per_person", ()))
        },
        "per_action": {
            action: spread([f["per_action"][action] for f in done if action in f["per_action"]])
            for action in actions
        },
    }


OURS = "solved root, all views and triangulated pose"
"""The row whose errors choose the cases; the first row that has poses, where it has none."""


def choose(store: runs.CellStore, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the best, the median and the worst test view with what rows of a table made of it.

    The first seed of each is shown. Rows that were tested on other views are left out.

    Returns:
        For each case `title`, `view` (clip, camera, frame), and `poses`: name of the row, or
        `"true"`, to `mpjpe_mm` and `joints`, `[J, 3]`, whole millimeters, camera axes.
    """
    done = {
        row["name"]: cell for row in rows for cell in row["cells"][:1] if cell["status"] == "done"
    }
    if not done:
        return []
    name = OURS if OURS in done else next(iter(done))
    truth = store.read_poses(done[name]["truth"])
    poses = {
        row: store.read_poses(cell["digest"])["pose"]
        for row, cell in done.items()
        if cell["truth"] == done[name]["truth"]
    }
    errors = {
        row: pose_error.MILLIMETERS_PER_METER
        * np.linalg.norm(pose - truth["pose"], axis=-1).mean(axis=-1)
        for row, pose in poses.items()
    }
    order = np.argsort(errors[name])
    picked = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    return [
        {
            "title": f"{title.capitalize()} of {len(order)} views for {name}",
            "view": {
                "clip": str(truth["clip"][index]),
                "camera": str(truth["camera"][index]),
                "frame": int(truth["frame"][index]),
            },
            "poses": {"true": _pose(truth["pose"][index], 0.0)}
            | {row: _pose(pose[index], errors[row][index]) for row, pose in poses.items()},
        }
        for title, index in picked.items()
    ]


def _pose(joints: np.ndarray, error_mm: float) -> dict[str, Any]:
    return {
        "mpjpe_mm": float(error_mm),
        "joints": np.rint(pose_error.MILLIMETERS_PER_METER * joints).astype(int).tolist(),
    }


# The figures that the paper reports, Li et al., AAAI 2020, Tables 1 to 4. They are of the authors'
# networks, detections and training; no figure of ours is comparable with them unless it was
# measured on the same data.

_GAP = "-"


def _part(title: str, columns: str, rows: str) -> dict[str, Any]:
    """Reads a table that is written a row a line, the figures behind a bar."""
    split = (line.split("|") for line in rows.strip().splitlines())
    return {
        "title": title,
        "columns": tuple(columns.split("|")),
        "rows": {
            name.strip(): tuple(None if x == _GAP else float(x) for x in figures.split())
            for name, figures in split
        },
    }


_ACTIONS = (
    "Direct.|Discuss|Eating|Greet|Phone|Photo|Pose|Purch.|Sitting|SittingD|Smoke|Wait|WalkD|Walk"
    "|WalkT|Avg"
)
_ERRORS = "MPJPE, mm|P-MPJPE, mm"
_SHARES = "PCK at 150 mm|AUC"

# ruff: noqa: E501
PUBLISHED: dict[str, tuple[dict[str, Any], ...]] = {
    "table1": (
        _part(
            "Human3.6M, protocol 1, MPJPE, mm",
            _ACTIONS,
            """
Reproj          | 390.2 441.6 479.3 422.8 503.4 479.0 400.6 471.5 568.5 662.2 483.6 423.8 473.2 414.5 413.5 468.5
Reproj+ADV      | 81.7 93.0 99.3 97.3 106.8 134.7 81.8 101.0 113.2 151.2 100.7 97.0 121.3 111.6 108.3 106.6
Trans Reproj    | 49.7 54.5 58.0 56.8 63.4 80.0 52.4 52.7 71.4 78.3 58.9 55.2 60.0 43.8 49.6 59.0
Trans Reproj+DA | 48.7 53.6 54.7 55.1 61.3 76.1 51.5 50.3 68.0 75.9 56.7 53.8 58.8 42.6 47.9 57.0
""",
        ),
        _part(
            "Human3.6M, protocol 2, P-MPJPE, mm",
            _ACTIONS,
            """
Reproj          | 147.1 148.0 174.7 153.1 165.5 162.7 176.1 136.2 156.5 192.5 230.1 147.6 150.5 160.0 154.6 163.7
Reproj+ADV      | 64.8 69.4 77.4 74.4 78.4 94.2 60.4 68.9 81.5 113.1 74.3 70.4 84.8 82.4 81.6 78.4
Trans Reproj    | 39.6 42.6 45.7 46.0 47.6 57.1 41.0 39.2 55.4 59.9 46.4 42.5 47.1 34.4 41.0 45.7
Trans Reproj+DA | 38.2 41.3 43.5 44.4 45.4 54.7 39.3 38.0 53.2 59.2 45.0 40.7 46.2 33.0 39.4 44.1
""",
        ),
    ),
    "table2": (
        _part(
            "Human3.6M",
            _ERRORS,
            """
ResLinear       | 59.7 45.0
Ours            | 57.0 44.1
TemporalDilated | 56.1 43.2
""",
        ),
    ),
    "table3": (
        _part(
            "Human3.6M, other methods as the paper quotes them",
            _ERRORS,
            """
Pavlakos 2017               | 118.4 -
Tung 2017                   | 97.2 -
Zhou 2017                   | - 64.9
Drover 2018                 | - 64.6
Rhodin 2018                 | - 98.2
Wandt 2019                  | 89.9 65.1
Wang 2019 (3D labels, time) | 63.7 -
Kocabas 2019                | 76.6 67.5
Chen 2019                   | - 68.0
Li 2020 (the paper)         | 57.0 44.1
""",
        ),
    ),
    "table4": (
        _part(
            "MPI-INF-3DHP",
            _SHARES,
            """
Zhou 2017           | 69.2 32.5
Kocabas 2019        | 64.7 -
Chen 2019           | 71.1 36.3
Li 2020 (the paper) | 74.1 41.4
""",
        ),
    ),
}
"""Name of a table to its parts: title, columns, and rows of figures, None where none is given."""
