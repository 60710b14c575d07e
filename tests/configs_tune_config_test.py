import pytest

from keras_mvlift import configs


def test_no_search_unless_asked_for():
    assert configs.TuneConfig().num_trials == 0


def test_goes_to_json_and_back():
    config = configs.TuneConfig(num_trials=3, learning_rate=(0.1, 0.2), seed=4)
    assert configs.TuneConfig.from_json(config.to_json()) == config


def test_ranges_go_by_the_name_of_the_setting():
    config = configs.TuneConfig(transform_weight=(1.0, 2.0), learning_rate=(0.1, 0.2))
    assert config.ranges == {"transform_weight": (1.0, 2.0), "learning_rate": (0.1, 0.2)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_trials": -1}, "`num_trials` must be at least 0. Received: -1"),
        ({"num_epochs": 0}, "`num_epochs` must be at least 1. Received: 0"),
        ({"learning_rate": (0.1, 0.1)}, r"`learning_rate` must be two positive.*\(0.1, 0.1\)"),
        ({"transform_weight": (0.0, 1.0)}, r"`transform_weight` must be two positive.*\(0.0, 1.0"),
        ({"transform_weight": (1.0,)}, r"`transform_weight` must be two positive.*\(1.0,\)"),
    ],
)
def test_what_a_search_may_not_be_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        configs.TuneConfig(**changes)
