import pytest

from keras_mvlift.experiments import methods
from tests.experiments import tiny_experiments

TRAINED = {
    "self_supervised": {},
    "supervised": {},
    "pseudo_labels": {"labels": "robust"},
    "semi_supervised": {"views": "all", "label_share": 0.2},
    "adversarial": {"critic_weight": 30.0},
}


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


# The temporal one needs windows, and has tests of its own.
@pytest.mark.parametrize("method", sorted({*methods.METHODS} - {"temporal"}))
def test_a_method_lifts_every_test_view_and_tells_its_epochs(data, method, tmp_path):
    watch = methods.Watch(tmp_path)
    options = tuple(TRAINED.get(method, {}).items())
    poses = methods.METHODS[method](
        tiny_experiments.cell(method=method, options=options), data, watch
    )
    assert poses.shape == data.test.reference_pose.shape
    assert [entry["epoch"] for entry in watch.curve] == ([1, 2] if method in TRAINED else [])
