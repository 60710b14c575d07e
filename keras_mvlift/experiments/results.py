"""What was measured, gathered from the cells: the dictionary that becomes `results.json`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mvlift.experiments import (
    cases,
    code_digest,
    correlations,
    harness,
    published,
    rows,
)

FORMAT = 1


def gather(experiments: harness.Experiments) -> dict[str, Any]:
    """Gathers the cells of all tables, finished or not.

    Returns:
        As docs/experiments.md describes it.
    """
    measured = [_table(experiments, table) for table in experiments.chosen]
    return {
        "format": FORMAT,
        "profile": experiments.profile.name,
        "budget": dataclasses.asdict(experiments.profile.budget),
        "seeds": list(experiments.seeds),
        "code": code_digest.code_digest(),
        "data": experiments.description | {"counts": _counts(experiments)},
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


def _counts(experiments: harness.Experiments) -> dict[str, Any] | None:
    """Gives the counts of the data that no row changes, or else of the first row's."""
    records = [
        record
        for table in experiments.chosen
        for row in experiments.rows_of(table)
        for _, record in _records(experiments, row)
        if record.get("data")
    ]
    plain = [r for r in records if r["settings"]["variant"]["data"]["filming"] is None]
    return next((record["data"] for record in plain or records), None)


def _records(experiments: harness.Experiments, row: rows.Row) -> list[tuple[int, dict[str, Any]]]:
    """Gives the records of a row that there are, by seed."""
    digests = {seed: experiments.digest(experiments.cell(row, seed)) for seed in experiments.seeds}
    found = ((seed, digest, experiments.store.read(digest)) for seed, digest in digests.items())
    return [(seed, {"digest": digest, **record}) for seed, digest, record in found if record]


def _table(experiments: harness.Experiments, table: rows.Table) -> dict[str, Any]:
    shown = experiments.rows_of(table)
    measured = [_row(row, _records(experiments, row)) for row in shown]
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "is_per_action": table.is_per_action,
        "has_curves": table.has_curves,
        "has_joint_shares": table.has_joint_shares,
        "rows": measured,
        "left_out": [row.name for row in table.rows if row not in shown],
        "published": published.TABLES[table.published] if table.published else (),
        "cases": cases.choose(experiments.store, measured) if table.has_cases else [],
    }


def _row(row: rows.Row, records: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    done = [record["figures"] for _, record in records if record["figures"]]
    actions = sorted({name for figures in done for name in figures["per_action"]})
    kept = ("digest", "truth", "test", "status", "error", "seconds", "figures", "curve")
    return {
        "name": row.name,
        "variant": dataclasses.asdict(row.variant),
        "cells": [
            {"seed": seed} | {name: record[name] for name in kept} for seed, record in records
        ],
        "overall": spread([figures["overall"] for figures in done]),
        "mean_over_actions": spread([figures["mean_over_actions"] for figures in done]),
        "per_action": {
            action: spread([f["per_action"][action] for f in done if action in f["per_action"]])
            for action in actions
        },
    }
