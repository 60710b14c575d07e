"""Tells how well the score without labels agrees with the error that labels tell of.

    python -m benchmarks.score_without_labels --motions MOTIONS.npz

Models that are trained in very different ways and for different times lift the same test views;
each is scored with and without labels.
"""

import argparse
import json
import pathlib
from collections.abc import Sequence

import rich.box
import rich.console
import rich.table
import scipy.stats

from benchmarks import scored_runs
from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import origins


def correlations(rows: Sequence[dict[str, float]]) -> dict[tuple[str, str], tuple[float, float]]:
    """Returns Pearson's and Spearman's correlation of every score with every error."""
    names = [name for name in rows[0] if "/" in name]
    found = {}
    for name in names:
        for error in scored_runs.ERRORS:
            both = [row[name] for row in rows], [row[error] for row in rows]
            found[name, error] = (
                float(scipy.stats.pearsonr(*both)[0]),
                float(scipy.stats.spearmanr(*both)[0]),
            )
    return found


def show(last: dict[str, dict[str, float]]) -> None:
    """Prints what models scored, and how the scores go with the errors."""
    console = rich.console.Console(width=160)
    names = [*scored_runs.ERRORS, *(f"{way}/median_mm" for way in scored_runs.WAYS)]
    table = rich.table.Table("model", *names, box=rich.box.MARKDOWN)
    for name, row in last.items():
        table.add_row(name, *(f"{row[key]:.1f}" for key in names))
    console.print(table)
    table = rich.table.Table("score", *scored_runs.ERRORS, box=rich.box.MARKDOWN)
    found = correlations(list(last.values()))
    for name in dict.fromkeys(name for name, _ in found):
        table.add_row(
            name, *("{:.3f} / {:.3f}".format(*found[name, error]) for error in scored_runs.ERRORS)
        )
    console.print(table)


def main() -> None:
    """Runs the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Compares the scores with and without labels."
    )
    parser.add_argument("--motions", required=True, help="an .npz file of motions")
    parser.add_argument(
        "--runs",
        nargs="+",
        choices=scored_runs.RUNS,
        default=[*scored_runs.RUNS],
        help="some of them",
    )
    parser.add_argument("--num-steps", type=int, default=scored_runs.Trial.num_steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=pathlib.Path, help="a file for all scores")
    options = parser.parse_args()
    origin = origins.MotionOrigin(
        paths=(options.motions,), max_train_frames=4000, max_test_frames=300
    )
    trial = scored_runs.Trial(num_steps=options.num_steps)
    made: dict[float, training_data.TrainingData] = {}
    scores: dict[str, list[dict[str, float]]] = {}
    for name in options.runs:
        data = scored_runs.make_data(scored_runs.RUNS[name], origin, made)
        scores[name] = scored_runs.train(scored_runs.RUNS[name], trial, data, options.seed)
        if options.json:
            options.json.write_text(json.dumps(scores, indent=1))
    show({name: rows[-1] for name, rows in scores.items()})


if __name__ == "__main__":
    main()
