import numpy as np

from keras_mvlift.lifting import detected_tracks

BODY = np.random.default_rng(0).uniform(0, 100, (6, 2))


def person(x, confidence=1.0, joints=range(6)):
    seen = np.isin(np.arange(6), [*joints])
    return np.concatenate([BODY + np.array([x, 0]), (confidence * seen)[:, np.newaxis]], axis=1)


def follow(*frames):
    """Follows `(number, person, ...)`."""
    numbers = [number for number, *crowd in frames for _ in crowd]
    return detected_tracks.follow(
        np.array(numbers), np.array([each for _, *crowd in frames for each in crowd])
    )


def test_two_who_change_their_order_in_the_file_stay_who_they_are():
    crowds = [(number, person(2 * number), person(500 - 2 * number)) for number in range(4)]
    crowds[2] = (2, *crowds[2][:0:-1])
    assert follow(*crowds).tolist() == [0, 1, 0, 1, 1, 0, 0, 1]


def test_the_nearest_pair_is_joined_first():
    # Of one known at 0 and one at 30, both are in reach of both.
    assert follow((0, person(0), person(30)), (1, person(28), person(55))).tolist() == [0, 1, 1, 2]


def test_someone_far_off_is_somebody_else():
    assert follow((0, person(0)), (1, person(400)), (2, person(3))).tolist() == [0, 1, 0]


def test_the_way_grows_with_a_gap_but_ends_with_a_long_one():
    size = np.linalg.norm(np.ptp(BODY, axis=0))
    step = 0.9 * size
    assert follow((0, person(0)), (1, person(step))).tolist() == [0, 1]
    assert follow((0, person(0)), (3, person(step))).tolist() == [0, 0]
    assert follow((0, person(0)), (31, person(0))).tolist() == [0, 1]


def test_joints_that_both_have_decide():
    legs, arms = person(0, joints=[0, 1, 2]), person(500, joints=[3, 4, 5])
    again = person(3, joints=[2, 3])
    assert follow((0, legs, arms), (1, again)).tolist() == [0, 1, 0]
    # Without one in common nobody is known again.
    assert follow((0, legs), (1, person(0, joints=[3, 4]))).tolist() == [0, 1]


def test_a_joint_is_remembered_while_it_is_hidden():
    frames = (0, person(0)), (1, person(0, joints=[0])), (2, person(0, joints=[4, 5]))
    assert follow(*frames).tolist() == [0, 0, 0]


def test_the_most_surely_seen_is_first_and_a_flicker_is_left_out():
    labels = np.array([0, 1, 2] + [0, 1] * 5)
    confidence = np.where(labels == 1, 0.9, 0.5)[:, np.newaxis] * np.ones(6)
    assert detected_tracks.ranking(labels, confidence, 6).tolist() == [1, 0]
    assert sorted(detected_tracks.ranking(labels[:3], confidence[:3], 1)) == [0, 1, 2]
