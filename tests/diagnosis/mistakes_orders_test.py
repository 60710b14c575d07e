import numpy as np
import pytest

from keras_mvlift.diagnosis import mistakes, verdicts
from tests.diagnosis import planted


@pytest.mark.parametrize(
    ("num_views", "order"),
    [
        (2, [1, 0]),
        (3, [1, 0, 2]),
        (4, [3, 1, 2, 0]),
        (4, [2, 0, 1, 3]),
        (8, [1, 0, 2, 3, 4, 5, 6, 7]),
        (12, [0, 9, 10, 11, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_the_right_order_is_found(num_views, order):
    spoiled = planted.footage(num_views, seed=1).reordered(order)
    found, residual = mistakes.best_order(spoiled)
    assert [order[view] for view in found] == list(range(num_views))
    assert residual < verdicts.AGREEMENT


def test_any_order_of_eight_cameras_is_found():
    order = np.random.default_rng(0).permutation(8)
    found, _ = mistakes.best_order(planted.footage(8, seed=1).reordered(order))
    assert order[list(found)].tolist() == list(range(8))


@pytest.mark.parametrize("num_views", [2, 4, 8])
def test_cameras_out_of_order_are_found_by_name(num_views):
    clean = planted.footage(num_views, seed=1)
    order = [1, 0, *range(2, num_views)]
    (finding,) = verdicts.reach(clean.reordered(order)).found
    assert finding.name == "cameras_out_of_order"
    assert finding.cameras == clean.camera_names[:2]
    first, second = clean.camera_names[:2]
    assert finding.details["order"][first] == second
