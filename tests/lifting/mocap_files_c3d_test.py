import functools

import c3d as independent
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.lifting import mocap_files
from keras_mvlift.untrusted import files
from tests.lifting import people
from tests.untrusted import damage

# The independent reader misses analog channels, of which there are none.
pytestmark = pytest.mark.filterwarnings("ignore:No analog data found:UserWarning")


def read_independently(path):
    """Returns labels, the reader and `[T, M, 5]`: x, y, z, residual and cameras."""
    with path.open("rb") as file:
        reader = independent.Reader(file)
        frames = np.array([points for _, points, _ in reader.read_frames()])
        return [label.strip() for label in reader.point_labels], reader, frames


def test_an_independent_reader_finds_every_joint_in_millimeters(tmp_path):
    tracks = people.track(), people.track("b", seed=1)
    mocap_files.write_c3d(people.clip(*tracks), tmp_path / "poses.c3d")
    labels, reader, frames = read_independently(tmp_path / "poses.c3d")
    assert labels[17:19] == ["b:pelvis", "b:right_hip"]
    assert reader.point_rate == 50.0
    assert reader.get("POINT:UNITS").string_value.strip() == "mm"
    assert reader.get("POINT:Y_SCREEN").string_value.strip() == "+Z"
    pose = np.concatenate([track.pose for track in tracks], axis=1)
    np.testing.assert_allclose(frames[..., :3], 1000 * pose, atol=1e-3)
    assert (frames[..., 3] >= 0).all()


def test_an_absent_joint_is_invalid(tmp_path):
    track = people.track(pose=people.hidden(people.pose(), (2, 5)))
    mocap_files.write_c3d(people.clip(track), tmp_path / "poses.c3d")
    _, _, frames = read_independently(tmp_path / "poses.c3d")
    assert np.argwhere(frames[..., 3] < 0).tolist() == [[2, 5]]
    content = mocap_files.read_c3d(tmp_path / "poses.c3d")
    assert np.argwhere(np.isnan(content.points[..., 0])).tolist() == [[2, 5]]


def test_in_front_of_a_camera_up_is_z(tmp_path):
    track = people.track(pose=people.pose(space="camera"))
    mocap_files.write_c3d(people.clip(track, space="camera"), tmp_path / "poses.c3d")
    content = mocap_files.read_c3d(tmp_path / "poses.c3d")
    assert (content.names, content.unit) == (people.H36M.joints, "mm")
    assert (content.frame_rate, content.first_frame) == (50.0, 0)
    expected = 1000 * track.pose[..., [0, 2, 1]] * [1, 1, -1]
    np.testing.assert_allclose(content.points, expected, atol=1e-3)


def test_more_frames_than_the_header_counts_are_refused(tmp_path):
    pose = np.zeros((2**16, 17, 3), np.float32)
    bare = dict.fromkeys(("confidence", "uncertainty", "keypoints_2d", "keypoint_confidence"))
    clip = people.clip(people.track(pose=pose, **bare))
    with pytest.raises(ValueError, match="at most 65535 frames to be written as C3D"):
        mocap_files.write_c3d(clip, tmp_path / "poses.c3d")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"\x02P" + bytes(300), b"Frame\n1\n"])
def test_a_damaged_file_is_refused(tmp_path, data):
    path = tmp_path / "a.c3d"
    path.write_bytes(data)
    with pytest.raises(errors.RecordingError, match="`file` must be a C3D file with points"):
        mocap_files.read_c3d(path)


def test_damage_ends_in_our_error_even_where_the_reader_crashes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_FREE_SECONDS", 1)
    path = tmp_path / "a.c3d"
    mocap_files.write_c3d(people.clip(people.track()), path)
    read = functools.partial(mocap_files.read_c3d, path)
    assert damage.assert_only_our_errors(read, path, path.read_bytes()[:4096], count=60) > 10
