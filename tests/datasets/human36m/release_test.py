import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.human36m import protocol, rig
from keras_mvlift.datasets.human36m import release as human36m_release
from keras_mvlift.studio import human36m
from tests.datasets.human36m import releases


@pytest.fixture
def release(tmp_path):
    return tmp_path, releases.write(tmp_path, formats=("cdf",), num_takes=6)


def test_poses_are_read_back_to_a_thousandth_of_a_millimeter(release):
    root, takes = release
    for subject, name in (("S1", "Discussion 1"), ("S9", "Directions 1")):
        pose = human36m_release.CDFPoses(root).read(subject, name)
        written = takes[f"{subject}_{name}".replace(" ", "_")].pose_world
        np.testing.assert_allclose(pose, written, atol=1e-6)


def test_projections_are_read_back_to_a_thousandth_of_a_pixel(release):
    root, takes = release
    views = human36m_release.CDFProjections(root).read("S1", "Directions 1")
    read = np.stack([view.keypoints_2d for view in views])
    np.testing.assert_allclose(read, takes["S1_Directions_1"].exact_2d, atol=1e-3)
    assert all((view.confidence == 1).all() for view in views)


def test_takes_are_listed_as_the_files_are_named(release):
    root, _ = release
    assert human36m_release.cdf_subjects(root) == ["S1", "S9"]
    assert human36m_release.CDFProjections(root).subjects() == ["S1", "S9"]
    assert "TakingPhoto 1" in human36m_release.CDFPoses(root).takes("S1")
    assert human36m_release.CDFProjections(root).takes("S1") == human36m_release.CDFPoses(
        root
    ).takes("S1")


def test_projections_are_found_by_the_one_spelling(release):
    root, takes = release
    view = human36m_release.CDFProjections(root).read("S1", "Photo 1")[3]
    np.testing.assert_allclose(view.keypoints_2d, takes["S1_Photo_1"].exact_2d[3], atol=1e-3)


def test_files_that_other_systems_hide_are_no_takes(release):
    root, _ = release
    path = human36m_release.cdf_pose_path(root, "S1", "._Directions 1")
    path.write_bytes(b"a resource fork")
    assert "._Directions 1" not in human36m_release.CDFPoses(root).takes("S1")


def test_a_missing_camera_file_is_named(release):
    root, _ = release
    path = human36m_release.cdf_keypoints_path(root, "S1", "Directions 1", rig.CAMERAS[2])
    path.unlink()
    with pytest.raises(errors.RecordingError, match="exists") as caught:
        human36m_release.CDFProjections(root).read("S1", "Directions 1")
    assert caught.value.path == path
    with pytest.raises(errors.RecordingError, match="exists"):
        human36m_release.CDFProjections(root).read("S1", "Walking 1")


def test_a_subject_without_files_is_named(release):
    root, _ = release
    with pytest.raises(errors.RecordingError, match="no such file") as caught:
        human36m_release.CDFPoses(root).takes("S5")
    assert caught.value.path == root / "S5" / "MyPoseFeatures" / "D3_Positions"


def test_poses_in_meters_are_refused(release):
    root, takes = release
    path = human36m_release.cdf_pose_path(root, "S1", "Directions 1")
    path.unlink()
    human36m.write_cdf(
        path, protocol.joints_to_raw(takes["S1_Directions_1"].pose_world).reshape(8, 96)
    )
    with pytest.raises(errors.RecordingError, match="be in mm, of people of human size"):
        human36m_release.CDFPoses(root).read("S1", "Directions 1")
