import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, release
from tests.datasets.mpi_inf_3dhp import releases

CHEST = tuple(releases.CHEST)


@pytest.fixture
def root(tmp_path):
    return releases.write(tmp_path, formats=("original",))


def folders(root, **options):
    return release.OriginalFolders(
        **{"root": str(root), "cameras": CHEST, "first_frames": "all", **options}
    )


def annotation_path(root):
    return root / "mpi_inf_3dhp_test_set" / "TS5" / "annot_data.mat"


@pytest.mark.parametrize(("sequence", "frame_rate"), [("Seq1", 25.0), ("Seq2", 50.0)])
def test_a_training_clip_says_what_it_is(root, sequence, frame_rate):
    clip = folders(root).training_clip("S1", sequence)
    found = clip.sequence
    assert (found.name, found.subject, found.action) == (f"S1_{sequence}", "S1", sequence)
    assert found.frame_rate == frame_rate
    assert found.camera_names == ("camera_0", "camera_2", "camera_4", "camera_7", "camera_8")
    assert (found.confidence == 1).all()
    np.testing.assert_array_equal(clip.frame, np.arange(releases.NUM_FRAMES))
    assert clip.views[:2] == (f"S1/{sequence}/0", f"S1/{sequence}/2")
    assert np.isfinite(found.pose_world).all()


def test_the_first_frames_are_those_asked_for(root):
    clip = folders(root, first_frames=6).training_clip("S1", "Seq1")
    assert (clip.sequence.num_frames, len(clip.frame)) == (6, 6)
    with pytest.raises(errors.RecordingError, match="number 6416 or more"):
        folders(root, first_frames="table").training_clip("S1", "Seq1")


def test_a_test_subject_has_a_clip_an_activity_and_they_share_out_the_valid_frames(root):
    reader = folders(root)
    names = reader.test_clips("TS5")
    assert names == [f"TS5_{activity}" for activity in protocol.ACTIVITIES.values()]
    clips = [reader.test_clip("TS5", name) for name in names]
    whole = release.read_test_annotation(annotation_path(root))
    frames = np.concatenate([clip.frame for clip in clips])
    np.testing.assert_array_equal(frames, whole.frame)
    seen = np.concatenate([clip.sequence.keypoints_2d[0] for clip in clips])
    np.testing.assert_array_equal(seen, whole.keypoints_2d)
    for name, clip in zip(names, clips, strict=True):
        assert clip.sequence.name == name
        assert f"TS5_{clip.sequence.action}" == name
        assert clip.views == ("TS5",)
    # One lens for all of them, of an image that is wider than high.
    lenses = np.stack([clip.sequence.camera.intrinsics[0] for clip in clips])
    np.testing.assert_array_equal(lenses, np.broadcast_to(lenses[0], lenses.shape))
    assert lenses[0, 0, 0] > 1600


def test_the_reference_of_a_test_clip_is_of_universal_size(root):
    whole = release.read_test_annotation(annotation_path(root))
    reader = folders(root)
    clips = [reader.test_clip("TS5", name).sequence for name in reader.test_clips("TS5")]
    reference = np.concatenate([clip.pose_world for clip in clips])
    np.testing.assert_allclose(reference, whole.universal_pose @ release.ROTATION)
    assert np.abs(whole.universal_pose - whole.pose_camera).max() > 0.01


def test_a_subject_whose_file_is_broken_has_one_clip_that_tells_why(root):
    reader, path = folders(root), annotation_path(root)
    path.write_bytes(path.read_bytes()[:700])
    assert reader.test_clips("TS5") == ["TS5"]
    with pytest.raises(errors.RecordingError, match="MATLAB") as caught:
        reader.test_clip("TS5", "TS5")
    assert caught.value.path == path
    assert reader.test_clips("TS6") == ["TS6"]
    with pytest.raises(errors.RecordingError, match=r"TS6.*be a file that exists"):
        reader.test_clip("TS6", "TS6")


def test_an_activity_that_is_not_shown_is_refused(root):
    with pytest.raises(errors.RecordingError, match="show TS5_dancing in some valid frame"):
        folders(root).test_clip("TS5", "TS5_dancing")
