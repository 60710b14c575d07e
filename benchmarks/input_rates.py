"""Compares what feeds a training step with what the step consumes, on the studio.

    python -m benchmarks.input_rates            the table of docs/performance.md
    python -m benchmarks.input_rates --quick    as the test does

Steps are those of the recipes' default settings on batches of 1,024 pairs, fed the same batch
again and again. Inputs give batches that nothing consumes, from the start of an epoch. Steps and
inputs take turns, several times; of each the best is taken.
"""

import argparse
import functools
import itertools
import json
import math
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import rich.box
import rich.console
import rich.table
import tensorflow as tf

from benchmarks import training_steps
from components.example_gen import files
from keras_mvlift import configs
from keras_mvlift.datasets import preparation, tfrecords
from keras_mvlift.studio import synthetic
from keras_mvlift.training import batches

STREAMED, KEPT, LOOKED_UP, INSTANTS = (
    "pairs, streamed",
    "pairs, kept and looked up beforehand",
    "pairs, kept and looked up in the step",
    "instants, kept",
)
PAPER, ALL_VIEWS = "paper", "solved_root"
# What each recipe's default settings read.
INPUTS = {PAPER: (STREAMED, KEPT, LOOKED_UP), ALL_VIEWS: (INSTANTS,)}
RATIO = "ratio"
# Of what is kept, which is soon over; the stream gives one.
EPOCHS = 5

Job = Callable[[], int]
"""Takes or makes batches in a row; gives how many."""


class Trial(NamedTuple):
    """What is measured.

    Attributes:
        studio: Films the records.
        recipes: Whose steps.
        batch_size: Pairs of a batch; of instants twice as many.
        steps: Steps in a row, by the width of the networks.
        turns: How often everything is run.
    """

    studio: synthetic.Studio
    recipes: tuple[str, ...]
    batch_size: int
    steps: dict[int, int]
    turns: int


FULL = Trial(
    synthetic.Studio(num_subjects=2, num_clips=8, num_frames=2500, frame_rate=50.0),
    recipes=(PAPER, ALL_VIEWS),
    batch_size=1024,
    steps={256: 40, 1024: 6},
    turns=4,
)
QUICK = Trial(
    synthetic.Studio(num_subjects=1, num_clips=2, num_frames=500, frame_rate=50.0),
    recipes=(PAPER,),
    batch_size=512,
    steps={128: 2},
    turns=1,
)


class Records(NamedTuple):
    """What the studio's films become.

    Attributes:
        pairs: A pattern of files of pairs.
        instants: A pattern of files of instants.
        num_pairs: How many pairs there are.
        num_views: Of an instant.
    """

    pairs: str
    instants: str
    num_pairs: int
    num_views: int


def write(studio: synthetic.Studio, folder: pathlib.Path) -> Records:
    """Writes the pairs and the instants of each clip."""
    split, num_pairs = preparation.BySubject(test_subjects=()), 0
    for clip in studio.clips():
        prepared = preparation.prepare(studio.read(clip), split, configs.DataConfig())
        files.write(str(folder), f"{clip}.pairs.gz", prepared.train_pairs)
        files.write(str(folder), f"{clip}.instants.gz", prepared.train_instants)
        num_pairs += prepared.counts["train_pairs"]
    pairs, seen = (str(folder / f"*.{kind}.gz") for kind in ("pairs", "instants"))
    return Records(pairs, seen, num_pairs, studio.num_cameras)


def run(trial: Trial, folder: pathlib.Path) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Measures a trial.

    Returns:
        A row for each step and input; and of the pairs that are kept, how fast they are read and
        how much memory they take.
    """
    records = write(trial.studio, folder)
    start = time.perf_counter()
    kept = cast(batches.Pairs, batches.read_pairs(records.pairs, math.inf))
    about = {
        "pairs": records.num_pairs,
        "pairs_per_s": records.num_pairs / (time.perf_counter() - start),
        "views": len(kept.views),
        "bytes_per_view": batches.BYTES_PER_VIEW,
        "bytes_per_pair": kept.num_bytes / records.num_pairs,
    }
    inputs = _inputs(trial, records, kept)
    num_batches = records.num_pairs // trial.batch_size
    jobs: dict[Any, Job] = {
        name: _make(each, num_batches if name == STREAMED else EPOCHS * num_batches)
        for name, each in inputs.items()
    }
    table, take = tf.constant(kept.views), tf.function(batches.take_pairs)
    found = map(functools.partial(take, table), inputs[LOOKED_UP])
    jobs[LOOKED_UP] = _make(found, EPOCHS * num_batches)
    for recipe in trial.recipes:
        batch = next(iter(inputs[INPUTS[recipe][0]]))
        for width, steps in trial.steps.items():
            jobs[recipe, width] = _step(recipe, width, batch, steps)
    return _rows(_rates(jobs, trial), trial), about


def _inputs(trial: Trial, records: Records, kept: batches.Pairs) -> dict[str, tf.data.Dataset]:
    rows = batches.load_pairs(kept, trial.batch_size, seed=0)
    inputs = {
        STREAMED: tfrecords.load(records.pairs, trial.batch_size, seed=0),
        KEPT: batches.look_up(kept, rows),
        LOOKED_UP: rows,
    }
    if ALL_VIEWS in trial.recipes:
        seen = batches.read_instants(records.instants, records.num_views, needs_agreement=True)
        order = {"num_batches": records.num_pairs // trial.batch_size, "seed": 0}
        inputs[INSTANTS] = batches.load_instants(seen, 2 * trial.batch_size, **order)
    return inputs


def _make(batches: Iterable[Any], num_batches: int) -> Job:
    return lambda: sum(1 for _ in itertools.islice(batches, num_batches))


def _step(recipe: str, width: int, batch: Any, steps: int) -> Job:
    """Returns what takes steps as `fit` does, without all that `fit` does around them."""
    model = configs.ModelConfig(recipe=recipe, width=width)
    config = configs.FinetuneConfig(**configs.finetuning(model))
    step = training_steps.stepper(training_steps.compiled(model, config), batch)

    def take() -> int:
        losses = [step() for _ in range(steps)]
        tf.debugging.assert_all_finite(losses[-1], "loss")
        return steps

    return take


def _rates(jobs: dict[Any, Job], trial: Trial) -> dict[Any, float]:
    """Returns the pairs per second of each at its best; the first turn only warms up."""
    rates = dict.fromkeys(jobs, 0.0)
    for turn in range(trial.turns + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            num_pairs = job() * trial.batch_size
            if turn:
                rates[name] = max(rates[name], num_pairs / (time.perf_counter() - start))
    return rates


def _rows(rates: dict[Any, float], trial: Trial) -> list[dict[str, Any]]:
    return [
        {
            "recipe": recipe,
            "width": width,
            "step_pairs_per_s": rates[recipe, width],
            "input": name,
            "input_pairs_per_s": rates[name],
            RATIO: rates[name] / rates[recipe, width],
        }
        for width in trial.steps
        for recipe in trial.recipes
        for name in INPUTS[recipe]
    ]


def show(rows: list[dict[str, Any]], about: dict[str, float]) -> None:
    """Prints the table, and what keeping takes; the last column is input over step."""
    names = ("recipe", "width", "step's pairs/s", "input", "input's pairs/s", RATIO)
    table = rich.table.Table(*names, box=rich.box.MARKDOWN)
    for row in rows:
        step, fed = (f"{row[f'{who}_pairs_per_s']:,.0f}" for who in ("step", "input"))
        ratio = f"{row[RATIO]:,.1f}"
        table.add_row(row["recipe"], str(row["width"]), step, row["input"], fed, ratio)
    console = rich.console.Console(width=160)
    console.print(table)
    console.print(
        "{pairs:,} pairs of {views:,} views, kept in {bytes_per_view:.0f} bytes a view and "
        "{bytes_per_pair:.0f} a pair; read once at {pairs_per_s:,.0f} pairs/s".format(**about)
    )


def main() -> None:
    """Runs the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description="Compares inputs with steps.")
    parser.add_argument("--quick", action="store_true", help="some seconds")
    parser.add_argument("--scratch", help="where to write; a temporary folder without")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write the figures to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        rows, about = run(QUICK if options.quick else FULL, pathlib.Path(folder))
    show(rows, about)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "kept": about}, indent=2))


if __name__ == "__main__":
    main()
