import numpy as np
import pytest

from keras_mvlift import errors, skeletons
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


MOTION = np.arange(2 * 17 * 3, dtype=np.float32).reshape(2, 17, 3)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "motions.npz"
    bad = MOTION.copy()
    bad[1, 3, 0] = np.nan
    arrays = {"b": MOTION + 1, "a": MOTION, "nan": bad, "flat": MOTION[0], "empty": MOTION[:0]}
    np.savez_compressed(path, text=np.array(["a"]), **arrays)
    return str(path)


def test_a_motion_is_read_as_it_was_written(path):
    np.testing.assert_array_equal(actions.read(path, "b"), MOTION + 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c", "`c` must be an array of the archive. Received: "),
        ("flat", r"`flat` must have shape \[any, 17, 3\]. Received: \(17, 3\)"),
        ("empty", r"`empty` must have shape \[any, 17, 3\]. Received: \(0, 17, 3\)"),
        ("nan", "`nan` must hold finite numbers below 100000. Received: nan in frame 1"),
        ("text", "`text` must be an array of numbers. Received: ndarray <U1"),
    ],
)
def test_what_is_no_motion_is_refused_by_file_and_name(path, name, message):
    with pytest.raises(errors.RecordingError, match=f"motions.npz: {message}"):
        actions.read(path, name)


def test_what_is_no_archive_is_refused(tmp_path):
    text, array = tmp_path / "text.npz", tmp_path / "array.npz"
    text.write_text("not an archive")
    with array.open("wb") as file:
        np.save(file, MOTION)
    for path in (text, array):
        with pytest.raises(errors.RecordingError, match=r"`file` must be an \.npz archive"):
            actions.names(str(path))


PERSON = people.draw_person(0, "S01")
JOINT = {joint: index for index, joint in enumerate(skeletons.H36M_17.joints)}
FRAME_RATE = 25.0


def performed(action, seed=0, num_frames=250, person=PERSON):
    rng = np.random.default_rng(seed)
    return actions.perform(action, person, num_frames, FRAME_RATE, rng)


@pytest.fixture(scope="module")
def takes():
    return {action: [performed(action, seed) for seed in range(4)] for action in actions.ACTIONS}


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
    first, again, other = (performed("boxing", seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match=r"`action` must be one of walking.*'flying'"):
        performed("flying")


def test_into_room_moves_without_posing():
    motion = performed("reaching") + np.array([7.0, -3.0, 0.5])
    moved = actions.into_room(motion)
    np.testing.assert_allclose(moved - moved[:, :1], motion - motion[:, :1], atol=1e-12)
    assert np.linalg.norm(moved[:, 0, :2], axis=-1).max() < 0.5
    lowest = moved[:, actions.ANKLES, 2].min(axis=1)
    np.testing.assert_allclose(lowest, actions.ANKLE_HEIGHT, atol=1e-9)


def test_into_room_shrinks_a_way_that_is_too_long():
    motion = performed("reaching")
    motion = motion + np.linspace(0, 9, len(motion))[:, np.newaxis, np.newaxis] * [1, 0, 0]
    moved = actions.into_room(motion)
    np.testing.assert_allclose(moved - moved[:, :1], motion - motion[:, :1], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(moved[:, 0, :2], axis=-1).max(), 1.3, rtol=0.01)


def test_into_room_with_dice_turns_poses_about_the_vertical_and_stays_inside():
    motion = performed("reaching")
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


SEEDS = range(25)


def _clock(seed):
    return people.Clock(250, 25.0, np.random.default_rng(seed))


def test_who_stands_stays_and_keeps_facing_about_one_way():
    for seed in SEEDS:
        path = actions.standing(_clock(seed))
        assert np.ptp(path.feet, axis=0).max() == 0
        assert path.heading.std() < np.radians(30)


def test_who_walks_faces_ahead_at_a_walking_pace_without_sudden_turns():
    for seed in SEEDS:
        path = actions.round_walk(_clock(seed))
        step = np.gradient(path.feet, axis=0)
        speed = np.linalg.norm(step, axis=-1) * 25
        ahead = np.stack([np.cos(path.heading), np.sin(path.heading)], axis=-1)
        cosine = (step * ahead).sum(-1) * 25 / speed
        assert cosine[1:-1].min() > 0.99
        assert 0.2 < speed[1:-1].min()
        assert speed.max() < 2.0
        assert np.abs(np.diff(path.heading)).max() < 0.5
