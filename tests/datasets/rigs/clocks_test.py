import hypothesis
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import clocks
from tests import refusals
from tests.untrusted import damage


def test_frames_are_placed_by_time_and_those_without_a_time_nowhere():
    seconds = np.array([100.0, 100.1, 100.3])
    positions = clocks.positions_by_time(np.array([-1, 0, 1, 2, 3]), seconds, 100.1, 10.0)
    np.testing.assert_allclose(positions, [np.nan, -1, 0, 2, np.nan], atol=1e-9)


def test_each_frame_of_the_clip_takes_the_nearest_within_half_a_period():
    # 0.6 and 1.2 are both nearest to 1; 1.2 is nearer. 2.5 belongs to 3, 3.6 to 4, which is out.
    positions = np.array([-0.7, -0.4, 0.6, 1.2, 2.5, 3.6, np.nan])
    slots, index = clocks.assign(positions, 4)
    assert (slots.tolist(), index.tolist()) == ([0, 1, 3], [1, 3, 4])


@hypothesis.given(
    rate=hypothesis.strategies.floats(0.2, 5.0),
    offset=hypothesis.strategies.floats(-20.0, 20.0),
    num_frames=hypothesis.strategies.integers(1, 40),
)
def test_any_two_clocks_are_joined_as_by_looking_for_the_nearest(rate, offset, num_frames):
    positions = offset + np.arange(50) / rate
    slots, index = clocks.assign(positions, num_frames)
    assert len(set(index.tolist())) == len(index)
    joined = dict(zip(slots.tolist(), index.tolist(), strict=True))
    for slot in range(num_frames):
        distance = np.abs(positions - slot)
        if distance.min() < 0.5 - 1e-9:
            assert distance[joined[slot]] == pytest.approx(distance.min())
        elif distance.min() > 0.5 + 1e-9:
            assert slot not in joined


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([np.array([0.0, 4.4])], 5),
        ([np.array([0.0]), np.array([7.6, np.nan])], 9),
        ([np.array([-3.0])], 0),
        ([np.array([])], 0),
        ([], 0),
        ([np.array([np.inf])], clocks.MAX_FRAMES + 1),
    ],
)
def test_a_clip_is_as_long_as_its_last_frame_needs(positions, expected):
    assert clocks.length(positions) == expected


@pytest.mark.parametrize("num_frames", [0, clocks.MAX_FRAMES + 1])
def test_absurd_lengths_are_refused(num_frames):
    clocks.check_length("clip", clocks.MAX_FRAMES)
    with pytest.raises(errors.RecordingError, match=rf"span 1 to .*Received: {num_frames}"):
        clocks.check_length("clip", num_frames)


@pytest.mark.parametrize(
    "text",
    ["0.5\n0.75\n1.5\n", "seconds\n0.5\n0.75\n1.5", "frame, seconds\r\n7,0.5\r\n8,0.75\r\n9,1.5"],
)
def test_time_stamps_are_lines_or_a_column(tmp_path, text):
    (tmp_path / "times.csv").write_text(text)
    assert clocks.read_times(tmp_path / "times.csv").tolist() == [0.5, 0.75, 1.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "be finite on at least one line. Received: no line"),
        ("seconds\n", "no line"),
        ("time\n0.5\n", "be a number on each line.*'time'"),
        ("frame,seconds\n1\n", "be a number on each line.*too few"),
        ("0.5\nnan\n", "Received: NaN or infinity"),
        ("0.5\n0.75\n0.75\n", "go up from frame to frame. Received: 0.75 before 0.75"),
    ],
)
def test_time_stamps_that_cannot_be_are_refused(tmp_path, text, message):
    path = tmp_path / "times.csv"
    path.write_text(text)
    refusals.refused(message, clocks.read_times, path, at=(path, "seconds"))


def test_damaged_time_stamps_end_in_our_error(tmp_path):
    path = tmp_path / "times.csv"
    data = b"seconds\n" + b"".join(b"%.6f\n" % (row / 50) for row in range(40))
    read = damage.assert_only_our_errors(lambda: clocks.read_times(path), path, data, count=200)
    assert read > 60


def test_time_stamps_of_another_unit_are_told():
    seconds = np.arange(10) / 50
    clocks.check_rate("file", seconds, 50.0)
    # A camera may run at half the clip's rate.
    clocks.check_rate("file", seconds, 25.0)
    with pytest.raises(errors.RecordingError, match=r"1/50 s apart.*: 20 s \(milliseconds\?\)"):
        clocks.check_rate("file", 1000 * seconds, 50.0)
