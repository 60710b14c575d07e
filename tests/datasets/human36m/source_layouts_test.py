import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.human36m import detections, release, source
from tests.datasets.human36m import releases


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    releases.write(root, num_takes=1)
    return root


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("D2_Positions", release.CDFProjections),
        ("gt", release.ArchiveDetections),
        ("cpn_ft_h36m_dbb", release.ArchiveDetections),
        ("detections.npz", detections.Archive),
        ("detections.parquet", detections.Table),
        ("detections.pickle", release.CanonPoseDetections),
    ],
)
def test_detections_are_opened_by_name(root, name, kind):
    reader = source.detection_reader(root, name)
    assert isinstance(reader, kind)
    assert "S9" in reader.subjects()


def test_a_folder_says_what_detections_it_has(root):
    assert source.detection_names(root) == [
        "D2_Positions",
        "cpn_ft_h36m_dbb",
        "gt",
        "detections.npz",
        "detections.parquet",
        "detections.pickle",
    ]


@pytest.mark.parametrize(
    ("file_format", "kind"),
    [("cdf", release.CDFProjections), ("canonpose", release.CanonPoseDetections)],
)
def test_the_only_detections_of_a_folder_need_no_name(tmp_path, file_format, kind):
    releases.write(tmp_path, num_takes=1, formats=(file_format,))
    assert isinstance(source.detection_reader(tmp_path, "auto"), kind)


def test_of_several_detections_one_must_be_named(root, tmp_path):
    with pytest.raises(errors.RecordingError, match=r"be named.*D2_Positions, cpn_.*, gt"):
        source.detection_reader(root, "auto")
    with pytest.raises(errors.RecordingError, match="'auto' with none"):
        source.detection_reader(tmp_path, "auto")


@pytest.mark.parametrize("name", ["../other.npz", "/etc/other.parquet", "../gt", "a/../../gt"])
def test_files_outside_of_the_folder_are_refused(root, name):
    with pytest.raises(errors.RecordingError, match="stays inside the folder"):
        source.detection_reader(root, name)


@pytest.mark.parametrize(
    ("kind", "reader"),
    [
        ("auto", release.CDFPoses),
        ("cdf", release.CDFPoses),
        ("videopose3d", release.ArchivePoses),
        ("none", type(None)),
    ],
)
def test_poses_are_opened_by_kind_and_the_originals_go_first(root, kind, reader):
    assert isinstance(source.pose_reader(root, kind), reader)


def test_the_archives_poses_are_found_and_a_folder_may_have_none(tmp_path):
    assert source.pose_reader(tmp_path, "auto") is None
    np.savez(release.archive_pose_path(tmp_path), positions_3d={})
    assert isinstance(source.pose_reader(tmp_path, "auto"), release.ArchivePoses)
