"""What several files look at and none changes: the records of a studio, and a model of them."""

import types

import pytest
from tfx.types import standard_artifacts

from components import trainers
from components.example_gen import executor
from keras_mvlift import configs
from tests.components import studio_examples


@pytest.fixture(scope="session")
def studio_records(tmp_path_factory):
    """Artifacts of `studio_examples.config()` by name."""
    return studio_examples.generate(tmp_path_factory.mktemp("studio"), studio_examples.config())


@pytest.fixture(scope="session")
def untrained_model(studio_records, tmp_path_factory):
    """An untrained model, as TFX's Trainer writes it."""
    made = standard_artifacts.Model()
    made.uri = str(tmp_path_factory.mktemp("model"))
    model = configs.ModelConfig(backbone="res_linear", layers_per_block=1, width=16)
    stage = configs.PretrainConfig(num_epochs=0, batch_size=16)
    train = executor.split_folder(studio_records["examples"].uri, "train")
    trainers.run_fn(
        types.SimpleNamespace(
            custom_config=trainers.custom_config(model, stage, f"{made.uri}/checkpoints", "abc"),
            train_files=[f"{train}/*"],
            base_model=None,
            hyperparameters=None,
            serving_model_dir=f"{made.uri}/Format-Serving",
            eval_files=[],
            model_run_dir=f"{made.uri}/run",
        )
    )
    return made
