import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.studio import actions, people

PERSON = people.draw_person(0, "S01")
JOINT = {joint: index for index, joint in enumerate(skeletons.H36M_17.joints)}
FRAME_RATE = 25.0


def _perform(action, seed=0, num_frames=250, person=PERSON):
    rng = np.random.default_rng(seed)
    return actions.perform(action, person, num_frames, FRAME_RATE, rng)


@pytest.fixture(scope="module")
def takes():
    return {action: [_perform(action, seed) for seed in range(4)] for action in actions.ACTIONS}


def _all(takes):
    return np.concatenate([motion for motions_ in takes.values() for motion in motions_])


def _interior_angle(motion, start, middle, end):
    first = motion[:, JOINT[start]] - motion[:, JOINT[middle]]
    second = motion[:, JOINT[end]] - motion[:, JOINT[middle]]
    cosine = (first * second).sum(-1)
    cosine /= np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_bones_keep_their_lengths_through_a_clip_and_left_is_right(takes):
    motion = _all(takes)
    for parent, child in skeletons.H36M_17.bones:
        length = np.linalg.norm(motion[:, child] - motion[:, parent], axis=-1)
        np.testing.assert_allclose(length, PERSON.bone_lengths[child], rtol=1e-9)


def test_elbows_and_knees_keep_their_limits(takes):
    motion = _all(takes)
    for side in ("left", "right"):
        elbow = _interior_angle(
            motion, *(f"{side}_{end}" for end in ("shoulder", "elbow", "wrist"))
        )
        knee = _interior_angle(motion, *(f"{side}_{end}" for end in ("hip", "knee", "ankle")))
        limits = people.DEGREES_OF_FREEDOM
        assert elbow.min() >= 180 - limits["left_elbow_flexion"].high - 1e-6
        assert knee.min() >= 180 - limits["left_knee_flexion"].high - 1e-6


def test_knees_never_bend_forward(takes):
    motion = _all(takes)
    hips = motion[:, JOINT["left_hip"]] - motion[:, JOINT["right_hip"]]
    for side in ("left", "right"):
        hip, knee, ankle = (motion[:, JOINT[f"{side}_{end}"]] for end in ("hip", "knee", "ankle"))
        # For a bent knee, thigh x shank points to the left, whatever the leg's direction.
        bend = (np.cross(knee - hip, ankle - knee) * hips).sum(-1)
        is_bent = _interior_angle(motion, f"{side}_hip", f"{side}_knee", f"{side}_ankle") < 150
        assert is_bent.any()
        assert (bend[is_bent] > 0).all()


def test_the_lower_foot_stands_on_the_floor_unless_in_a_jump(takes):
    for action, motions_ in takes.items():
        for motion in motions_:
            lowest = motion[:, actions.ANKLES, 2].min(axis=1)
            if action == "jumping_jacks":
                assert 0 <= lowest.min() - actions.ANKLE_HEIGHT < 0.02
            else:
                np.testing.assert_allclose(lowest, actions.ANKLE_HEIGHT, atol=1e-9)


def test_nothing_reaches_through_the_floor(takes):
    assert _all(takes)[..., 2].min() > -0.05


def test_the_pelvis_stays_within_a_meter_and_a_half_of_the_center(takes):
    assert np.linalg.norm(_all(takes)[:, 0, :2], axis=-1).max() < 1.5


def test_nobody_moves_faster_than_people_do(takes):
    for action, motions_ in takes.items():
        for motion in motions_:
            speed = np.linalg.norm(np.diff(motion, axis=0), axis=-1) * FRAME_RATE
            assert speed.max() < 12.0, action


def test_poses_are_so_diverse_that_the_mean_pose_is_far_off(takes):
    relative = _all(takes) - _all(takes)[:, :1]
    error = np.linalg.norm(relative - relative.mean(axis=0), axis=-1).mean()
    assert error > 0.15


def test_an_action_looks_like_its_name(takes):
    def share(action, holds):
        return np.mean([holds(motion).mean() for motion in takes[action]])

    def height(motion, joint):
        return motion[:, JOINT[joint], 2]

    def hand_up(motion):
        raised = [
            height(motion, f"{s}_wrist") > height(motion, "thorax") for s in ("left", "right")
        ]
        return raised[0] ^ raised[1]

    def hand_at_ear(motion):
        middle = (motion[:, JOINT["nose"]] + motion[:, JOINT["head"]]) / 2
        hands = motion[:, [JOINT["left_wrist"], JOINT["right_wrist"]]] - middle[:, np.newaxis]
        return np.linalg.norm(hands, axis=-1).min(axis=1) < 0.3

    def arms_up(motion):
        return height(motion, "left_wrist") > height(motion, "head")

    leg = PERSON.bone_lengths[JOINT["left_knee"]] + PERSON.bone_lengths[JOINT["left_ankle"]]
    assert share("waving", hand_up) > 0.4
    assert share("phoning", hand_at_ear) > 0.9
    assert share("sitting", lambda motion: height(motion, "pelvis") < 0.75 * leg) > 0.4
    assert share("squatting", lambda motion: height(motion, "pelvis") < 0.85 * leg) > 0.15
    assert share("bending", lambda motion: height(motion, "thorax") < 1.15 * leg) > 0.3
    assert share("jumping_jacks", arms_up) > 0.15
    assert all(np.ptp(motion[:, 0, :2], axis=0).max() > 0.8 for motion in takes["walking"])


def test_the_same_dice_give_the_same_motion_and_others_another():
    first, again, other = _perform("boxing", 5), _perform("boxing", 5), _perform("boxing", 6)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match=r"`action` must be one of walking.*'flying'"):
        _perform("flying")


def test_into_room_moves_without_posing():
    motion = _perform("reaching") + np.array([7.0, -3.0, 0.5])
    moved = actions.into_room(motion)
    np.testing.assert_allclose(moved - moved[:, :1], motion - motion[:, :1], atol=1e-12)
    assert np.linalg.norm(moved[:, 0, :2], axis=-1).max() < 0.5
    lowest = moved[:, actions.ANKLES, 2].min(axis=1)
    np.testing.assert_allclose(lowest, actions.ANKLE_HEIGHT, atol=1e-9)


def test_into_room_shrinks_a_way_that_is_too_long():
    motion = _perform("reaching")
    motion = motion + np.linspace(0, 9, len(motion))[:, np.newaxis, np.newaxis] * [1, 0, 0]
    moved = actions.into_room(motion)
    np.testing.assert_allclose(moved - moved[:, :1], motion - motion[:, :1], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(moved[:, 0, :2], axis=-1).max(), 1.3, rtol=0.01)


def test_into_room_with_dice_turns_poses_about_the_vertical_and_stays_inside():
    motion = _perform("reaching")
    spots = []
    for seed in range(10):
        moved = actions.into_room(motion, np.random.default_rng(seed))
        before, after = motion - motion[:, :1], moved - moved[:, :1]
        np.testing.assert_allclose(after[..., 2], before[..., 2], atol=1e-12)
        np.testing.assert_allclose(
            np.einsum("tjc,tkc->tjk", after, after),
            np.einsum("tjc,tkc->tjk", before, before),
            atol=1e-9,
        )
        # A mirrored person has left and right exchanged.
        np.testing.assert_allclose(
            np.linalg.det(after[:, [4, 8, 9]]), np.linalg.det(before[:, [4, 8, 9]])
        )
        spots.append(moved[:, 0, :2].mean(axis=0))
        assert np.linalg.norm(moved[:, 0, :2], axis=-1).max() <= 1.3 + 1e-9
    assert np.std(spots) > 0.2
