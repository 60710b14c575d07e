import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, release
from tests.datasets import clips
from tests.untrusted import damage

VIEWS = ("S1/Seq1/0", "S1/Seq1/4")
FRAME = np.array([1, 2, 5])


@pytest.fixture
def clip():
    return protocol.Clip(clips.exact(2, len(FRAME)), FRAME, VIEWS)


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    arrays = {}
    for view in (*VIEWS, "S1/Seq1/7"):
        arrays[f"{view}/keypoints_2d"] = rng.uniform(0, 2048, (7, 17, 2)).astype(np.float32)
        arrays[f"{view}/confidence"] = rng.uniform(0.1, 1, (7, 17)).astype(np.float32)
    return arrays


def replace(path, found, clip):
    np.savez(path, **found)
    return release.replace_detections(path, clip)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "detections.npz"


def test_detections_take_the_place_of_the_annotated_joints(path, found, clip):
    seen = replace(path, found, clip)
    assert isinstance(seen, sequences.MultiViewSequence)
    for view, name in enumerate(VIEWS):
        expected = found[f"{name}/keypoints_2d"][FRAME]
        np.testing.assert_array_equal(seen.keypoints_2d[view], expected)
        np.testing.assert_array_equal(seen.confidence[view], found[f"{name}/confidence"][FRAME])
    np.testing.assert_array_equal(seen.pose_world, clip.sequence.pose_world)


def test_a_joint_without_confidence_is_zero_whatever_is_written_there(path, found, clip):
    found["S1/Seq1/4/confidence"][2, 3] = 0
    found["S1/Seq1/4/keypoints_2d"][2, 3] = np.nan
    seen = replace(path, found, clip)
    assert seen.confidence[1, 1, 3] == 0
    assert (seen.keypoints_2d[1, 1, 3] == 0).all()


@pytest.mark.parametrize(
    ("field", "spoil", "message"),
    [
        ("confidence", lambda value: value[:5], "a row for each of the 6 frames.*Received: 5"),
        ("keypoints_2d", lambda value: value[:6], r"have shape \[7, 17, 2\]"),
        ("keypoints_2d", lambda value: value[:, :16], r"have shape \[7, 17, 2\]"),
        ("confidence", lambda value: value + 1, r"lie in \[0, 1\]"),
        ("confidence", lambda value: value * np.nan, r"lie in \[0, 1\]"),
        ("keypoints_2d", lambda value: value * np.nan, "hold finite numbers.*in frame 0"),
        ("keypoints_2d", lambda value: value.astype(str), "be an array of numbers"),
        ("keypoints_2d", lambda value: None, "be an array of numbers"),
    ],
)
def test_what_is_no_detection_is_refused_by_key(path, found, clip, field, spoil, message):
    key = f"S1/Seq1/4/{field}"
    found[key] = spoil(found[key])
    with pytest.raises(errors.RecordingError, match=message) as caught:
        replace(path, found, clip)
    assert (caught.value.path, caught.value.field) == (path, key)


def test_a_view_that_was_not_detected_is_refused(path, found, clip):
    del found["S1/Seq1/0/confidence"]
    with pytest.raises(errors.RecordingError, match="`S1/Seq1/0/confidence` must be an array"):
        replace(path, found, clip)


def test_a_missing_file_is_refused(path, clip):
    with pytest.raises(errors.RecordingError, match="be a file that exists"):
        release.replace_detections(path, clip)


def test_damage_ends_in_our_error_or_in_a_clip(path, found, clip):
    replace(path, found, clip)
    data = path.read_bytes()
    refused = damage.assert_only_our_errors(
        lambda: release.replace_detections(path, clip), path, data
    )
    assert refused > 30
