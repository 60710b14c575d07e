import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.human36m import protocol


@pytest.mark.parametrize(
    ("name", "action", "label"),
    [
        ("Directions", "Directions", "Directions"),
        ("Directions 1", "Directions", "Directions 1"),
        ("TakingPhoto", "Photo", "Photo"),
        ("TakingPhoto 1", "Photo", "Photo 1"),
        ("WalkingDog 1", "WalkDog", "WalkDog 1"),
        ("WalkingTogether", "WalkTogether", "WalkTogether"),
        ("Phoning 3", "Phoning", "Phoning 3"),
        ("SittingDown 2", "SittingDown", "SittingDown 2"),
    ],
)
def test_names_are_made_one(name, action, label):
    take = protocol.parse_take(name, "file")
    assert (take.action, take.label, protocol.action_label(name)) == (action, label, label)


def test_all_15_actions_are_their_own_names():
    assert len(protocol.ACTIONS) == 15
    assert [protocol.parse_take(action, "").action for action in protocol.ACTIONS] == [
        *protocol.ACTIONS
    ]


@pytest.mark.parametrize("name", ["Juggling 1", "directions", "Directions1", "", "Directions x"])
def test_an_unknown_action_is_refused_by_name(name):
    with pytest.raises(errors.RecordingError, match="with or without a number") as caught:
        protocol.parse_take(name, "S1/x.cdf")
    assert (caught.value.path, caught.value.field) == ("S1/x.cdf", "action")
    assert caught.value.received == repr(name)


def test_clips_are_named_after_subject_and_take_fit_for_a_file_name():
    assert protocol.clip_name("S1", "TakingPhoto 1") == "S1_Photo_1"
    assert protocol.clip_name("S11", "Directions") == "S11_Directions"
    assert protocol.clip_name("S1", "../Rock & Roll") == "S1_Rock_Roll"


def test_takes_are_sorted_by_action_and_number():
    names = ["Phoning 10", "TakingPhoto", "Phoning 2", "Phoning", "Eating 1", "Rock & Roll"]
    expected = ["Eating 1", "Phoning", "Phoning 2", "Phoning 10", "TakingPhoto", "Rock & Roll"]
    assert sorted(names, key=protocol.take_order) == expected
