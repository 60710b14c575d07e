import pytest

from keras_mvlift.datasets.human36m import protocol, rig


def test_the_fields_protocols_train_on_five_people_and_test_on_two():
    assert protocol.TRAIN_SUBJECTS == ("S1", "S5", "S6", "S7", "S8")
    assert protocol.TEST_SUBJECTS == ("S9", "S11")
    assert sorted(protocol.TRAIN_SUBJECTS + protocol.TEST_SUBJECTS) == sorted(rig.SUBJECTS)


def test_takes_are_named_in_one_spelling():
    assert protocol.take("S1 TakingPhoto 1") == "S1 Photo 1"
    assert protocol.take("S11 Directions") == protocol.DROPPED_TAKES[0]
    assert [protocol.take(name) for name in protocol.SHIFTED_TAKES] == [*protocol.SHIFTED_TAKES]


def test_a_take_of_no_action_is_refused():
    with pytest.raises(ValueError, match=r"Take 'S11': `action` must be one of Directions"):
        protocol.take("S11")
