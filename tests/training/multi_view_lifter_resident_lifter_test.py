import types

import numpy as np
import pytest
from tensorflow import keras

from keras_mvlift.training import batches, multi_view_lifter
from tests import tiny_studio


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "train.gz"
    written = tiny_studio.write(path, tiny_studio.prepare(tiny_studio.film()).train_pairs)
    return batches.read_pairs(written, 1e9)


def train(model, batches):
    """Takes a step per batch; gives the losses and the weights."""
    model.compile(keras.optimizers.legacy.Adam(1e-3))
    losses = model.fit(batches, epochs=1, verbose=0).history["loss"]
    return [*map(np.array, losses), *tiny_studio.weights(model)]


def test_pairs_that_it_looks_up_teach_what_pairs_that_it_is_given_do(pairs):
    rows = batches.load_pairs(pairs, tiny_studio.BATCH_SIZE, seed=0).take(4)
    given, keeping = (
        tiny_studio.lifter("paper", model=multi_view_lifter.ResidentLifter) for _ in range(2)
    )
    keeping.keep(pairs.views)
    learned = train(keeping, rows)
    assert tiny_studio.same(learned, train(given, batches.look_up(pairs, rows)))
    assert not tiny_studio.same(learned[1:], tiny_studio.weights(tiny_studio.lifter("paper")))


def test_a_model_keeps_views_unless_it_takes_whole_pairs_or_has_replicas(monkeypatch):
    plain = tiny_studio.lifter()
    assert multi_view_lifter.keeper(plain) is None
    keeping = tiny_studio.lifter(model=multi_view_lifter.ResidentLifter)
    assert multi_view_lifter.keeper(keeping) == keeping.keep
    of_two = types.SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(multi_view_lifter.ResidentLifter, "distribute_strategy", of_two)
    assert multi_view_lifter.keeper(keeping) is None
