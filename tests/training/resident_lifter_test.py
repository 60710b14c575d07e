import types

import numpy as np
import pytest
from tensorflow import keras

from keras_mvlift.training import pair_batches, resident_lifter
from tests import tiny_studio


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "train.gz"
    written = tiny_studio.write(path, tiny_studio.prepare(tiny_studio.film()).train_pairs)
    return pair_batches.read(written, 1e9)


def train(model, batches):
    """Takes a step per batch; gives the losses and the weights."""
    model.compile(keras.optimizers.legacy.Adam(1e-3))
    losses = model.fit(batches, epochs=1, verbose=0).history["loss"]
    return [*map(np.array, losses), *tiny_studio.weights(model)]


def test_pairs_that_it_looks_up_teach_what_pairs_that_it_is_given_do(pairs):
    rows = pair_batches.load(pairs, tiny_studio.BATCH_SIZE, seed=0).take(4)
    given, keeping = (
        tiny_studio.lifter("paper", model=resident_lifter.ResidentLifter) for _ in range(2)
    )
    keeping.keep(pairs.views)
    learned = train(keeping, rows)
    assert tiny_studio.same(learned, train(given, pair_batches.look_up(pairs, rows)))
    assert not tiny_studio.same(learned[1:], tiny_studio.weights(tiny_studio.lifter("paper")))


def test_a_model_keeps_views_unless_it_takes_whole_pairs_or_has_replicas(monkeypatch):
    plain = tiny_studio.lifter()
    assert resident_lifter.keeper(plain) is None
    keeping = tiny_studio.lifter(model=resident_lifter.ResidentLifter)
    assert resident_lifter.keeper(keeping) == keeping.keep
    of_two = types.SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(resident_lifter.ResidentLifter, "distribute_strategy", of_two)
    assert resident_lifter.keeper(keeping) is None
