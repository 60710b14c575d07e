import pickle

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import release as human36m_release
from keras_mvlift.datasets.human36m import rig
from tests.datasets.human36m import releases
from tests.untrusted import damage

NOSE = skeletons.H36M_17.joints.index("nose")


@pytest.fixture
def release(tmp_path):
    takes = releases.write(tmp_path, formats=("canonpose",))
    return tmp_path / "detections.pickle", takes


def edit(path, change):
    content = pickle.loads(path.read_bytes())
    change(content)
    path.write_bytes(pickle.dumps(content))


def test_the_file_is_what_canonpose_loads(release):
    content = pickle.loads(release[0].read_bytes())
    assert np.unique(content["subjects"]).tolist() == [1, 9]
    assert content["poses_2d_pred"]["54138969"].shape == (4 * 8, 32)
    assert content["confidences"]["60457274"].shape == (4 * 8, 16)
    # Their root is joint 6.
    root = content["poses_2d_pred"]["54138969"].reshape(-1, 2, 16)[:8, :, 6]
    written = release[1]["S1_Directions_1"].keypoints_2d[0, :8, skeletons.ROOT]
    np.testing.assert_allclose(root, written, atol=1e-3)


def test_a_subject_is_read_back_without_a_nose(release):
    path, takes = release
    views = human36m_release.CanonPoseDetections(path).read("S9", human36m_release.CANONPOSE_TAKE)
    own = [take for clip, take in takes.items() if clip.startswith("S9_")]
    for camera, view in enumerate(views):
        keypoints_2d = np.concatenate([take.keypoints_2d[camera, :8] for take in own])
        confidence = np.concatenate([take.confidence[camera, :8] for take in own])
        keypoints_2d[:, NOSE], confidence[:, NOSE] = 0.0, 0.0
        np.testing.assert_allclose(view.keypoints_2d, keypoints_2d, atol=1e-3)
        np.testing.assert_allclose(view.confidence, confidence, atol=1e-6)


def test_a_subject_is_one_clip(release):
    reader = human36m_release.CanonPoseDetections(release[0])
    assert reader.subjects() == ["S1", "S9"]
    assert reader.takes("S9") == [human36m_release.CANONPOSE_TAKE]
    with pytest.raises(errors.RecordingError, match=r"name every subject.*S1, S9 without S5"):
        reader.takes("S5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("subjects"), "`subjects` must be a list of numbers"),
        (lambda content: content.update(subjects=["S1"] * 32), "must be a list of numbers"),
        (lambda content: content["subjects"].pop(), "have a row for each of the 31 subjects"),
        (lambda content: content.pop("confidences"), "`confidences 54138969` must be there"),
        (
            lambda content: content["poses_2d_pred"].pop(rig.CAMERAS[1]),
            "`poses_2d_pred 55011271` must be there",
        ),
        (
            lambda content: content["poses_2d_pred"].update({rig.CAMERAS[1]: np.ones((32, 34))}),
            r"have shape \(T, 32\). Received: \(32, 34\)",
        ),
        (
            lambda content: content["confidences"].update(
                {rig.CAMERAS[1]: np.full((32, 16), np.nan)}
            ),
            "`confidences 55011271` must be finite",
        ),
    ],
)
def test_another_content_is_refused(release, change, message):
    path, _ = release
    edit(path, change)
    with pytest.raises(errors.RecordingError, match=message):
        human36m_release.CanonPoseDetections(path).read("S1", human36m_release.CANONPOSE_TAKE)


def test_a_missing_file_and_another_object_are_refused(tmp_path):
    path = tmp_path / "detections.pickle"
    with pytest.raises(errors.RecordingError, match="`file` must be there"):
        human36m_release.CanonPoseDetections(path).subjects()
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(errors.RecordingError, match=r"be a dictionary. Received: list"):
        human36m_release.CanonPoseDetections(path).subjects()


def test_damage_ends_in_a_refusal_or_in_values(release):
    path, _ = release
    reader = human36m_release.CanonPoseDetections(path)

    def read():
        # Files may be written faster than their time of change advances.
        human36m_release.load_canonpose.forget()
        reader.read("S1", human36m_release.CANONPOSE_TAKE)

    assert damage.assert_only_our_errors(read, path, path.read_bytes(), count=200) > 50
