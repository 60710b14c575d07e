"""What was measured, gathered from the cells: the dictionary that becomes `results.json`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mvlift.experiments import (
    cases,
    cell_store,
    code_digest,
    correlations,
    harness,
    published,
    rows,
    variants,
)

FORMAT = 1


def gather(experiments: harness.Experiments) -> dict[str, Any]:
    """Gathers the cells of all tables, finished or not, of this run and of earlier ones.

    Returns:
        As docs/experiments.md describes it.
    """
    found = experiments.found()
    shown = _shown(experiments, found)
    measured = [_table(experiments, table, names, found) for table, names in shown]
    seeds = {seed for by_seed in found.values() for seed in by_seed} - set(experiments.seeds)
    return {
        "format": FORMAT,
        "profile": experiments.profile.name,
        "budget": dataclasses.asdict(experiments.profile.budget),
        "seeds": [*experiments.seeds, *sorted(seeds)],
        "code": code_digest.code_digest(),
        "data": experiments.description | {"counts": _counts(found)},
        "tables": measured,
        "score_without_labels": correlations.correlate(measured),
    }


def spread(figures: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """Gives mean, sample standard deviation and count over seeds for each figure.

    Args:
        figures: Of one row, for each seed that gave any. The deviation of one is None.
    """
    result: dict[str, dict[str, float | int | None]] = {}
    for name in figures[0] if figures else ():
        values = [values[name] for values in figures]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        result[name] = {"mean": float(np.mean(values)), "spread": deviation, "seeds": len(values)}
    return result


def over_people(cells: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | int | None]]:
    """Adds to `spread` how much people differ.

    Args:
        cells: The figures of one row's cells, for each seed.

    Returns:
        Of each figure that is measured of every person what `spread` gives of all test views, and
        `people`, their number, and `people_spread`, the sample standard deviation over them of the
        mean over seeds; None for a single one.
    """
    overall = spread([figures["overall"] for figures in cells])
    people = [figures["per_person"] for figures in cells]
    result: dict[str, dict[str, float | int | None]] = {}
    # All cells of a row are tested on the same people.
    for name in next(iter(people[0].values())) if people else ():
        means = [np.mean([of[person][name] for of in people]) for person in people[0]]
        deviation = float(np.std(means, ddof=1)) if len(means) > 1 else None
        result[name] = {**overall[name], "people": len(means), "people_spread": deviation}
    return result


def _shown(
    experiments: harness.Experiments, found: harness.Found
) -> list[tuple[rows.Table, list[str]]]:
    """Chooses tables and names of their rows: what was asked for, and what is finished anyway.

    A cell may belong to several tables. One that nobody asked for is left out if it has but a
    single cell, and another table shows that.
    """
    asked = {
        table.name: {row.name for row in experiments.rows_of(table)} for table in experiments.chosen
    }
    known = experiments.known or experiments.chosen
    shown: dict[str, list[str]] = {}
    covered: set[str] = set()
    for table in sorted(known, key=lambda table: table.name not in asked):
        wanted = asked.get(table.name, set())
        names = [row.name for row in table.rows if row.name in wanted or _is_finished(row, found)]
        cells = {variants.digest(row.variant) for row in table.rows if row.name in names}
        if table.name in asked or len(cells) > 1 or cells - covered:
            shown[table.name] = names
            covered |= cells
    return [(table, shown[table.name]) for table in known if table.name in shown]


def _records(row: rows.Row, found: harness.Found) -> dict[int, dict[str, Any]]:
    return dict(sorted(found.get(variants.digest(row.variant), {}).items()))


def _is_finished(row: rows.Row, found: harness.Found) -> bool:
    return any(r["status"] in cell_store.FINISHED for r in _records(row, found).values())


def _counts(found: harness.Found) -> dict[str, Any] | None:
    """Gives the counts of the data that no row changes, or else of any row's."""
    plain = variants.digest(variants.DataSettings())
    records = [r for by_seed in found.values() for r in by_seed.values() if r.get("data")]
    records.sort(key=lambda r: variants.digest(r["settings"]["variant"]["data"]) != plain)
    return records[0]["data"] if records else None


def _table(
    experiments: harness.Experiments, table: rows.Table, names: list[str], found: harness.Found
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
        "published": published.TABLES[table.published] if table.published else (),
        "cases": cases.choose(experiments.store, measured) if table.has_cases else [],
    }


def _row(row: rows.Row, records: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
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
            for person in (done[0]["per_person"] if done else ())
        },
        "per_action": {
            action: spread([f["per_action"][action] for f in done if action in f["per_action"]])
            for action in actions
        },
    }
