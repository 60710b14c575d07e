import numpy as np
import pytest

from keras_mvlift.losses import reprojection

LIFTED_FROM = np.array([0.5, 0.8, 0.0, 0.9])
COMPARED_WITH = np.array([0.25, 1.0, 0.6, 0.0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # The last joint is not seen in the view compared with, and never counts.
        ("source", [0.5, 0.8, 0.0, 0.0]),
        ("target", [0.25, 1.0, 0.6, 0.0]),
        ("product", [0.125, 0.8, 0.0, 0.0]),
        ("none", [1.0, 1.0, 1.0, 0.0]),
    ],
)
def test_goldens(name, expected):
    weights = reprojection.WEIGHTINGS[name](LIFTED_FROM, COMPARED_WITH)
    np.testing.assert_allclose(weights, expected)


@pytest.mark.parametrize("weight", reprojection.WEIGHTINGS.values(), ids=reprojection.WEIGHTINGS)
@pytest.mark.parametrize("batch", [(), (2, 3), (0,)])
def test_any_batch_shape(weight, batch):
    lifted_from, compared_with = np.random.default_rng(0).uniform(size=(2, *batch, 17))
    weights = np.asarray(weight(lifted_from, compared_with))
    assert weights.shape == (*batch, 17)
    assert weights.dtype == np.float64
    for index in np.ndindex(batch):
        np.testing.assert_allclose(weights[index], weight(lifted_from[index], compared_with[index]))
