import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.studio import people


def _lengths(num_people=200):
    return np.stack(
        [people.draw_person(0, f"S{index}").bone_lengths for index in range(num_people)]
    )


def test_a_subject_has_one_body_whoever_was_drawn_before():
    first = people.draw_person(3, "S01")
    people.draw_person(3, "S02")
    again = people.draw_person(3, "S01")
    np.testing.assert_array_equal(first.bone_lengths, again.bone_lengths)
    assert first.girth == again.girth


def test_subjects_and_seeds_differ():
    bodies = [
        people.draw_person(0, "S01"),
        people.draw_person(0, "S02"),
        people.draw_person(1, "S01"),
    ]
    assert len({body.girth for body in bodies}) == 3
    assert len({float(body.bone_lengths.sum()) for body in bodies}) == 3


def test_left_bones_are_as_long_as_right_ones():
    lengths = _lengths(5)
    left, right = list(skeletons.H36M_17.left), list(skeletons.H36M_17.right)
    np.testing.assert_array_equal(lengths[:, left], lengths[:, right])


def test_only_the_root_has_no_bone():
    lengths = _lengths(5)
    assert (lengths[:, skeletons.ROOT] == 0).all()
    assert (np.delete(lengths, skeletons.ROOT, axis=1) > 0.05).all()


def test_limb_lengths_vary_between_people_by_about_five_percent():
    lengths = _lengths()[:, 1:]
    spread = lengths.std(axis=0) / lengths.mean(axis=0)
    assert (spread > 0.04).all()
    assert (spread < 0.075).all()


def test_mean_bones_are_those_of_an_adult():
    mean = dict(zip(skeletons.H36M_17.joints, _lengths().mean(axis=0), strict=True))
    # Human3.6M's subject S1: thigh 443 mm, shank 454 mm, upper arm 279 mm, forearm 252 mm.
    for joint, length in {"knee": 0.443, "ankle": 0.454, "elbow": 0.279, "wrist": 0.252}.items():
        np.testing.assert_allclose(mean[f"left_{joint}"], length, rtol=0.05)
