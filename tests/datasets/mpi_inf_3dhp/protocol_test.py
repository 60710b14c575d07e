import pytest

from keras_mvlift.datasets.mpi_inf_3dhp import protocol


def test_the_table_has_eight_subjects_twice():
    assert protocol.SUBJECTS == tuple(f"S{number}" for number in range(1, 9))
    assert list(protocol.TAKES) == [(s, q) for s in protocol.SUBJECTS for q in protocol.SEQUENCES]
    # The sum of the release's own table, and who was filmed at the higher rate.
    assert sum(take.num_frames for take in protocol.TAKES.values()) == 131592
    fast = [key for key, take in protocol.TAKES.items() if take.frame_rate == 50]
    assert fast == [("S1", "Seq2"), ("S3", "Seq1"), ("S3", "Seq2"), ("S5", "Seq1"), ("S5", "Seq2")]


def test_the_test_set_shows_six_people():
    assert protocol.TEST_SUBJECTS == ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
    assert not {*protocol.TEST_SUBJECTS} & {*protocol.SUBJECTS}


def test_camera_sets_are_within_one_another():
    sets = {name: set(cameras) for name, cameras in protocol.CAMERA_SETS.items()}
    assert sets["chest"] < sets["vnect"] < sets["relevant"] < sets["regular"]
    assert sets["ceiling"] == sets["regular"] - sets["relevant"]
    assert len(sets["regular"]) == protocol.NUM_CAMERAS


@pytest.mark.parametrize(("choice", "expected"), [("table", 12430), ("all", None), (20, 20)])
def test_how_many_frames_are_read_is_a_choice(choice, expected):
    assert protocol.first_frames("S1", "Seq2", choice) == expected
