import pytest

from keras_mvlift.training import batches
from tests import tiny_studio


@pytest.fixture(scope="session")
def prepared():
    """The records of the tiny studio's clip, as columns that nobody changes."""
    return tiny_studio.prepare(tiny_studio.film())


@pytest.fixture(scope="session")
def shards(prepared, tmp_path_factory):
    """They as files, by the names of the columns."""
    folder = tmp_path_factory.mktemp("shards")
    return {
        name: tiny_studio.write(folder / f"{name}.gz", getattr(prepared, name))
        for name in ("train_pairs", "held_out_pairs", "train_instants", "held_out_instants")
    }


@pytest.fixture(scope="session")
def pairs(shards):
    """The pairs to train on, as they are kept in memory."""
    return batches.read_pairs(shards["train_pairs"], 1e9)
