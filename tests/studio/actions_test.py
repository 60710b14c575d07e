import numpy as np
import pytest

from keras_mvlift.studio import actions, people

LIMIT_SLACK = 15.0


def _perform(action, seed=0, num_frames=250):
    return actions.ACTIONS[action](people.Clock(num_frames, 25.0, np.random.default_rng(seed)))


@pytest.mark.parametrize("action", actions.ACTIONS)
def test_an_action_bends_joints_that_exist_about_within_their_limits(action):
    for seed in range(5):
        posture, _ = _perform(action, seed)
        for name, angle in posture.items():
            degree = people.DEGREES_OF_FREEDOM[name]
            assert np.min(angle) >= degree.low - LIMIT_SLACK, name
            assert np.max(angle) <= degree.high + LIMIT_SLACK, name


@pytest.mark.parametrize("action", actions.ACTIONS)
def test_no_two_clips_of_an_action_agree(action):
    (first, here), (second, there) = _perform(action, 0), _perform(action, 1)
    common = [name for name in first if name in second]
    assert any(not np.allclose(first[name], second[name], atol=1.0) for name in common)
    assert not np.allclose(here.heading, there.heading)


def test_there_are_enough_actions_and_they_are_known_by_name():
    assert len(actions.ACTIONS) >= 8
    assert all(function.__name__ == name for name, function in actions.ACTIONS.items())


def test_who_turns_turns():
    turned = [np.ptp(_perform("turning", seed)[1].heading) for seed in range(5)]
    assert min(turned) > np.radians(90)


def test_legs_and_opposite_arms_swing_together_in_walking():
    posture, _ = _perform("walking")
    legs, arms = posture["left_hip_flexion"], posture["right_shoulder_flexion"]
    assert np.corrcoef(legs, arms)[0, 1] > 0.99


def test_only_jumps_leave_the_floor():
    for action in actions.ACTIONS:
        lift = _perform(action)[1].lift
        assert (lift.max() > 0.02) == (action == "jumping_jacks")
        assert lift.min() >= 0
