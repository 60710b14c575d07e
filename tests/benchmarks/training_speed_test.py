"""What is measured of training steps, and that PyTorch is only timed if it takes the same steps."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from benchmarks import training_speed, training_steps
from keras_mvlift.datasets import views
from tests.benchmarks import quick_trials

SOLVED = "solved_root"
WIDTH, SIZE = 256, training_speed.Size(widths=(256,), batch_size=512, num_rounds=3, num_calls=3)
# For a path with spaces: a shell runs the first line, to Python it is a text.
STAND_IN = """#!/bin/sh
"exec" "{python}" "$0" "$@"
import json, sys
import numpy
first, scale = {first}, float(numpy.load(sys.argv[2])["clip_norm"])
for line in sys.stdin:
    print(json.dumps(first if line.strip() == "start" else [scale] * int(line)), flush=True)
"""


@pytest.fixture(scope="module", name="seen")
def _seen():
    return tf.nest.map_structure(
        lambda x: np.tile(x, (16,) + (1,) * (x.ndim - 1)), training_steps.filmed(32)
    )


@pytest.fixture(scope="module")
def start(seen):
    lifter = training_steps.build(SOLVED, WIDTH, dropout=0.0)
    pair = training_steps.batch_of(SOLVED, seen, SIZE.batch_size)
    return training_steps.loss_and_gradient(lifter, pair)


def stand_in(folder, first):
    path = folder / "python"
    path.write_text(STAND_IN.format(python=sys.executable, first=first))
    path.chmod(0o755)
    return path


def test_a_run_is_measured_and_written(tmp_path, capsys):
    run = training_steps.ALL_VIEWS
    (row,) = quick_trials.figures(training_speed, tmp_path, "--runs", run)
    assert (row["recipe"], row["width"]) == (run, 32)
    assert 0 < row["least_ms"] <= row["p50_ms"]
    assert row["pairs_per_second"] == pytest.approx(16 / row["least_ms"] * 1000)
    assert row["times_pytorch"] is None
    shown = capsys.readouterr().out
    assert run in shown
    assert "PyTorch was not measured" in shown


def test_a_step_takes_little_more_than_its_networks_and_these_little_more_than_their_products(
    tmp_path, seen, start
):
    """Guards against slow steps: idle the shares are 0.6 and 0.2; other work blurs that."""
    row = training_speed.measure(SOLVED, WIDTH, SIZE, seen, stand_in(tmp_path, start))
    assert row["share_of_limit"] > 0.2
    assert row["outside_networks"] < 0.6
    assert row["num_traces"] == 1
    # The stand-in, whose loss and gradient are ours, says that a step takes one second.
    assert row["times_pytorch"] == pytest.approx(1000 / row["least_ms"])


@pytest.mark.parametrize("factors", [(1.01, 1.0), (1.0, 1.01)])
def test_a_step_of_another_loss_or_gradient_is_not_timed(tmp_path, seen, start, factors):
    python = stand_in(tmp_path, [*np.multiply(start, factors)])
    with pytest.raises(ValueError, match=r"PyTorch's loss and the norm of its gradient must be"):
        training_speed.measure(SOLVED, WIDTH, SIZE, seen, python)


def test_a_step_trains_on_the_pairs_that_it_is_given(seen):
    pair = training_steps.batch_of(SOLVED, seen, 16)
    assert isinstance(pair, views.ViewPair)
    for number, view in enumerate(pair):
        np.testing.assert_array_equal(view.confidence, seen.confidence[:16, number])
    lifter = training_steps.build(SOLVED, 8)
    before = lifter.get_weights()
    step = training_steps.stepper(lifter, pair)
    losses = [step() for _ in range(20)]
    assert not np.array_equal(lifter.get_weights()[0], before[0])
    assert losses[-1] < losses[0]


def test_products_of_a_step_are_those_of_its_dense_layers():
    lifter = training_steps.build(SOLVED, 8)
    kernels = [34 * 8, *[8 * 8] * 8]
    expected = sum(2 * kernels[0] + 3 * (sum(kernels[1:]) + 8 * outputs) for outputs in (3 * 17, 3))
    assert training_steps.products_per_step(lifter, 8) == expected / 8**2
    assert len([x for x in lifter.root_network.layers if isinstance(x, keras.layers.Dense)]) == 10
