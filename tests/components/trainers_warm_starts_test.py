import dataclasses
from typing import Any

import pytest

from components import trainers
from keras_mvlift import configs
from keras_mvlift.training import objectives
from tests import tiny_studio

TINY: dict[str, Any] = tiny_studio.TINY
CONFIG = configs.ModelConfig(**TINY)


@pytest.fixture(scope="module")
def former(tmp_path_factory):
    """A blessed model where TFX would have put it, and its weights."""
    folder = tmp_path_factory.mktemp("runs") / "Trainer.Finetune" / "model" / "12"
    lifter = tiny_studio.trained()
    tiny_studio.save(lifter, folder / "Format-Serving")
    return folder / "Format-Serving", tiny_studio.weights(lifter)


def load(folder, config):
    return trainers._blessed(folder, config, objectives.TransformReprojection(), files=[])


@pytest.mark.parametrize("changes", [{}, {"dropout": 0.5, "seed": 3, "output_stddev": 0.1}])
def test_the_weights_and_cameras_are_those_of_the_blessed_model(changes, former):
    folder, weights = former
    lifter, about = load(folder, dataclasses.replace(CONFIG, **changes))
    assert tiny_studio.same(tiny_studio.weights(lifter), weights)
    assert about["warm_start"] | {"spans": None} == {
        "model": "Trainer.Finetune/model/12",
        "note": "",
        "spans": None,
    }
    assert about["rig_distance"] == tiny_studio.RIG_DISTANCE
    assert about["intrinsics"] == tiny_studio.INTRINSICS.tolist()


@pytest.mark.parametrize(
    "changes", [{"width": 32}, {"recipe": "ray_root"}, {"uncertainty": True}], ids=str
)
def test_networks_of_another_kind_start_from_scratch_and_say_why(changes, former):
    folder, _ = former
    lifter, about = load(folder, dataclasses.replace(CONFIG, **changes))
    (name,) = changes
    assert lifter is None
    assert about == {
        "warm_start": {
            "model": None,
            "note": "The last blessed model, Trainer.Finetune/model/12, is of other networks "
            f"({name}): training starts from scratch.",
        }
    }


def test_a_field_that_a_former_description_lacks_has_its_default():
    about = dataclasses.asdict(CONFIG)
    del about["uncertainty"]
    former = configs.ModelConfig.from_description({"model": about})
    assert CONFIG.differences(former) == []
    other = dataclasses.replace(CONFIG, uncertainty=True)
    assert other.differences(former) == ["uncertainty"]
