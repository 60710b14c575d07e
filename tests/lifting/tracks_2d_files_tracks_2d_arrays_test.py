import re

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import pose_clip, tracks_2d, tracks_2d_files
from tests.lifting import people

RNG = np.random.default_rng(0)
KEYPOINTS = RNG.uniform(0, 1000, (6, 2, 17, 2))
CONFIDENCE = RNG.uniform(0.1, 1, (6, 2, 17))


def read(tmp_path, /, option=None, **arrays):
    path = tmp_path / "seen.npz"
    named = {"skeleton", "joint_names", "keypoints"} & {*arrays}
    if option is None and not named and np.shape(arrays.get("keypoints_2d"))[-2:] == (17, 2):
        arrays["skeleton"] = "h36m_17"
    np.savez(path, **arrays)
    return tracks_2d_files.read_arrays(path, option)


def test_all_that_an_archive_tells_is_read(tmp_path):
    tracks = read(
        tmp_path,
        keypoints_2d=KEYPOINTS,
        confidence=CONFIDENCE,
        frame_rate=25,
        first_frame=7,
        image_size=[640, 480],
        names=["anna", "ben"],
    )
    assert (tracks.frame_rate, tracks.first_frame, tracks.image_size) == (25.0, 7, (640, 480))
    assert (tracks.names, tracks.joint_names) == (("anna", "ben"), skeletons.H36M_17.joints)
    np.testing.assert_array_equal(tracks.keypoints_2d[1], KEYPOINTS[:, 1])
    np.testing.assert_array_equal(tracks.confidence[1], CONFIDENCE[:, 1])


def test_one_person_needs_no_axis_and_nothing_but_keypoints(tmp_path):
    tracks = read(tmp_path, keypoints_2d=KEYPOINTS[:, 0])
    assert (tracks.names, tracks.frame_rate, tracks.image_size) == (("person 1",), None, None)
    assert (tracks.confidence == 1).all()


@pytest.mark.parametrize(
    ("joints", "arrays", "skeleton", "expected"),
    [
        (17, {"skeleton": "coco_17"}, None, skeletons.COCO_17.joints),
        (17, {"skeleton": "coco_17"}, "h36m_17", skeletons.H36M_17.joints),
        (26, {}, None, skeletons.HALPE_26.joints),
        (25, {}, "body_25b", skeletons.BODY_25B.joints),
        (2, {"joint_names": ["head", "nose"]}, None, ("head", "nose")),
    ],
)
def test_the_joint_set_is_told_by_option_file_or_number(
    tmp_path, joints, arrays, skeleton, expected
):
    tracks = read(tmp_path, skeleton, keypoints_2d=np.ones((3, joints, 2)), **arrays)
    assert tracks.joint_names == expected


def test_what_rtmlib_gives_and_what_lifting_wrote_is_read(tmp_path):
    still = np.broadcast_to(KEYPOINTS[0] + [[[0, 0]], [[2000, 0]]], KEYPOINTS.shape)
    tracks = read(tmp_path, "coco_17", keypoints=still, scores=CONFIDENCE)
    assert tracks.joint_names == skeletons.COCO_17.joints
    assert len(tracks.names) == 2
    pose_clip.write_npz(people.clip(), tmp_path / "poses.npz")
    again = tracks_2d_files.read_arrays(tmp_path / "poses.npz")
    np.testing.assert_array_equal(again.keypoints_2d[0], people.track().keypoints_2d)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"keypoints": KEYPOINTS[:, 0]}, "`scores` must be an array of the archive."),
        ({"poses": KEYPOINTS}, "`keypoints_2d` must be an array of the archive. Received: poses."),
        (
            {"keypoints_2d": KEYPOINTS[0, 0, 0]},
            "`keypoints_2d` must have shape [T, K, 2]",
        ),
        ({"keypoints_2d": np.zeros((3, 25, 2))}, "must be said by --skeleton: body_25, body_25b."),
        ({"positions_2d": KEYPOINTS}, "VideoPose3D's custom dataset"),
        ({"keypoints_2d": KEYPOINTS, "skeleton": "coco"}, "`skeleton` must be one of h36m_17"),
        ({"keypoints_2d": KEYPOINTS, "confidence": CONFIDENCE[0]}, "`confidence` must have shape"),
        ({"keypoints_2d": KEYPOINTS, "frame_rate": [1, 2]}, "`frame_rate` must be a number."),
        ({"keypoints_2d": KEYPOINTS, "image_size": 640}, "`image_size` must be width and height."),
        ({"keypoints_2d": KEYPOINTS, "first_frame": "x"}, "`first_frame` must be a whole number."),
    ],
)
def test_what_does_not_fit_is_refused_by_field(tmp_path, arrays, sentence):
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)):
        read(tmp_path, **arrays)


@pytest.mark.parametrize("facts", [{}, {"frame_rate": 29.97, "image_size": (640, 480)}])
def test_tracks_that_are_written_are_read_again(tmp_path, facts):
    seen = np.where(RNG.uniform(size=(6, 2, 17)) < 0.2, 0, CONFIDENCE)
    tracks = tracks_2d.of_arrays(*(KEYPOINTS, seen), names=("anna", "ben"), first_frame=7, **facts)
    tracks_2d_files.write_arrays(tracks, tmp_path / "kept.npz")
    again = tracks_2d_files.read_arrays(tmp_path / "kept.npz")
    for name in ("names", "joint_names", "frame_rate", "first_frame", "image_size"):
        assert getattr(again, name) == getattr(tracks, name)
    np.testing.assert_allclose(again.keypoints_2d, tracks.keypoints_2d, atol=1e-3)
    np.testing.assert_allclose(again.confidence, tracks.confidence, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npz"]
