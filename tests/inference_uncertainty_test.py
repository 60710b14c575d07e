import numpy as np
import pytest

from keras_mvlift import inference
from tests import tiny_studio

RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(300, 700, (2, 3, 17, 2))
CONFIDENCE = RNG.uniform(0.1, 1, (2, 3, 17))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained_uncertainty(), folder, uncertainty=True)
    return inference.load_model(folder)


@pytest.mark.parametrize("index", [(0, 0), (0,), ()], ids=["[17,2]", "[T,17,2]", "[2,T,17,2]"])
def test_each_joint_has_its_own_whatever_the_leading_axes(model, index):
    camera = tiny_studio.INTRINSICS
    everything = model.lift(KEYPOINTS, CONFIDENCE, camera).joint_uncertainty
    found = model.lift(KEYPOINTS[index], CONFIDENCE[index], camera).joint_uncertainty
    assert found.shape == CONFIDENCE[index].shape
    np.testing.assert_allclose(found, everything[index], rtol=1e-5)
    assert everything.std(axis=(0, 1)).min() > 1e-5
    assert everything.min() > 0


def test_a_model_that_predicts_none_gives_none(tmp_path):
    tiny_studio.save(tiny_studio.trained(), tmp_path / "plain")
    plain = inference.load_model(tmp_path / "plain")
    assert plain.lift(KEYPOINTS, CONFIDENCE, tiny_studio.INTRINSICS).joint_uncertainty is None
