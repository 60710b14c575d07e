import pytest

from benchmarks import field_of_view
from keras_mvlift import inference


@pytest.fixture(scope="module")
def costs():
    return field_of_view.costs(inference.load_model("studio"))


def test_the_cameras_own_field_of_view_puts_people_where_they_are(costs):
    assert abs(costs["the camera's own"].distance) < 0.02


def test_a_narrower_view_puts_people_farther_away_and_a_wider_one_nearer(costs):
    distances = [costs[f"{off:+g}"].distance for off in (-20.0, -10.0, -5.0, 5.0, 10.0, 20.0)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 1.0
    assert distances[-1] < -0.3


def test_poses_forgive_what_places_do_not(costs):
    own = costs["the camera's own"].mpjpe_mm
    assert all(costs[name].mpjpe_mm - own < 6.0 for name in ("-10", "+10"))
    assert costs["-20"].mpjpe_mm - own > 10.0
