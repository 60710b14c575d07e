import dataclasses

from keras_mvlift.visualization import pages
from tests.visualization import pose_clips

OTHER = pose_clips.track("person 2", shift=(1.0, 0.0, 0.0))


def test_an_input_that_two_models_lift_is_listed_once():
    (found,) = pages.track_inputs(pose_clips.compared().tracks)
    assert found.track.name == "ray root"
    assert found.users == [0, 1]


def test_each_person_has_an_input():
    found = pages.track_inputs((pose_clips.track(), OTHER))
    assert [users for _, _, users in found] == [[0], [1]]


def test_a_reference_stands_with_whom_it_judges_wherever_it_is_listed():
    model, other, reference = pose_clips.compared().tracks
    assert pages.track_slots((model, other, reference), [2, 2, None]) == [0, 1, 0]
    assert pages.track_slots((reference, model, other), [None, 0, 0]) == [0, 0, 1]


def test_a_reference_that_judges_nobody_stands_apart():
    model, _, reference = pose_clips.compared().tracks
    assert pages.track_slots((reference, model), [None, None]) == [1, 0]


def test_only_several_people_around_their_pelvises_are_apart():
    people = pose_clips.clip(pose_clips.track(), OTHER, space="root")
    assert pages.are_apart(people)
    assert not pages.are_apart(dataclasses.replace(people, space="world"))
    assert not pages.are_apart(dataclasses.replace(pose_clips.compared(), space="root"))
