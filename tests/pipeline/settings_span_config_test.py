import pytest

from pipeline import settings


def test_thresholds_are_all_but_what_is_done_about_drift():
    config = settings.PipelineConfig().updated({"drift": {"action": "stop", "center": 0.3}}).drift
    assert config.action == settings.STOP
    assert config.thresholds["center"] == 0.3
    names = {"keypoints_2d", "confidence", "intrinsics", "rotation", "center", "camera"}
    assert set(config.thresholds) == names
    assert all(0 < most < 0.2 for most in settings.DriftConfig().thresholds.values())


def test_drift_is_warned_of_and_windows_go_on_unless_told():
    config = settings.PipelineConfig()
    assert config.drift.action == settings.WARN
    assert (config.window.num_spans, config.window.warm_start) == (5, True)
    changed = config.updated({"window": {"num_spans": 3}}).updated(
        {"window": {"warm_start": False}}
    )
    assert changed.window == settings.WindowConfig(num_spans=3, warm_start=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": {"num_spans": 0}}, "`window.num_spans` must be at least 1. Received: 0"),
        (
            {"window": {"num_spans": 2.5}},
            "`window.num_spans` must be a whole number. Received: 2.5",
        ),
        (
            {"window": {"warm_start": "no"}},
            "`window.warm_start` must be true or false. Received: 'no'",
        ),
        ({"window": 3}, "`window` must be an object. Received: 3"),
        ({"drift": {"action": "cry"}}, "`drift.action` must be one of warn, stop. Received: 'cry'"),
        ({"drift": {"center": 1.5}}, r"`center` must lie in \[0, 1\]. Received: 1.5"),
        ({"drift": {"camera": True}}, "`drift.camera` must be a number. Received: True"),
        (
            {"drift": {"baseline": 0.1}},
            r"`DriftConfig` has no such fields. Received: \['baseline'\]",
        ),
    ],
)
def test_what_settings_may_not_say_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        settings.PipelineConfig().updated(changes)
