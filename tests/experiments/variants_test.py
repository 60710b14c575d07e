import dataclasses

import pytest

from keras_mvlift.experiments import variants
from keras_mvlift.studio import synthetic


def test_equal_settings_have_one_digest_and_every_field_changes_it():
    cell = variants.Cell(variant=variants.Variant(), budget=variants.Budget(), seed=0)
    assert variants.digest(cell) == variants.digest(dataclasses.replace(cell))
    ring = variants.DataSettings(filming=variants.Filming(rig="ring"))
    others = [
        dataclasses.replace(cell, seed=1),
        dataclasses.replace(cell, budget=variants.Budget(width=2)),
        dataclasses.replace(cell, variant=variants.Variant(options=(("a", 1),))),
        dataclasses.replace(cell, variant=variants.Variant(data=ring)),
    ]
    assert len({variants.digest(other) for other in [cell, *others]}) == 5


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"calibration_error": -1.0}, "`calibration_error` must be at least 0"),
        ({"num_train_cameras": 1}, "`num_train_cameras` must be 0, or 2 or more"),
    ],
)
def test_data_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        variants.DataSettings(**settings)


def test_a_filming_is_what_a_studio_takes():
    filming = variants.Filming(rig="ring", num_cameras=3, noise_px=1.0, bias_px=2.0)
    studio = synthetic.Studio(**dataclasses.asdict(filming))
    assert len(studio.camera.center) == 3
    assert (studio.noise_px, studio.bias_px) == (1.0, 2.0)
