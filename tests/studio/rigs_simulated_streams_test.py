import numpy as np
import pytest

from keras_mvlift.studio import rigs


def film(joined_by, index):
    rng = np.random.default_rng(0)
    return rigs.film_stream(joined_by, index, num_cameras=3, num_frames=6, frame_rate=50.0, rng=rng)


def test_streams_that_start_together_are_numbered_alike():
    assert film("number", 0).numbers.tolist() == film("number", 0).slots.tolist()
    assert film("number", 2).slots.tolist() == [0, 1, 2, 3, 4, 5]


def test_streams_may_start_earlier_one_after_the_other():
    stream = film("first_frame", 1)
    assert stream.view == {"first_frame": 3}
    assert stream.slots.tolist() == [-3, -2, -1, 0, 1, 2, 3, 4, 5]
    assert stream.numbers.tolist() == list(range(9))


def test_time_stamps_are_within_half_a_period_of_the_clips_frames():
    for index in range(3):
        stream = film("timestamps", index)
        position = (stream.seconds - rigs.EPOCH) * 50.0
        assert np.abs(position - stream.slots).max() < 0.3
    assert (film("timestamps", 2).slots % 2 == 0).all()


def test_the_second_camera_loses_a_frame():
    assert film("number", 1).shows().tolist() == [0, 1, 3, 4, 5]
    assert film("first_frame", 1).shows().tolist() == [0, 1, 3, 4, 5]
    assert film("number", 0).shows().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("joined_by", rigs.JOINS)
def test_the_person_is_surer_than_the_bystander_who_comes_first(joined_by):
    stream = film(joined_by, 1)
    person = np.random.default_rng(0).uniform(0.1, 0.9, (6, 17, 3))
    rng = np.random.default_rng(0)
    crowds = rigs.people_in_stream(stream, person[:, np.newaxis], rng)
    assert [number for number, _ in crowds] == stream.numbers[stream.is_kept].tolist()
    for number, crowd in crowds:
        assert len(crowd) == (2 if number % 2 == 0 else 1)
        slot = stream.slots[number]
        np.testing.assert_array_equal(crowd[-1], person[max(slot, 0)])
        assert (crowd[0, :, 2].sum() < crowd[-1, :, 2].sum()) == (len(crowd) == 2)
