import functools
import operator
import pickle

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import protocol, rig
from keras_mvlift.datasets.human36m import release as human36m_release
from keras_mvlift.studio import human36m
from tests import refusals
from tests.datasets.human36m import releases
from tests.untrusted import damage


@pytest.fixture
def release(tmp_path):
    return tmp_path, releases.write(tmp_path, formats=("cdf",), num_takes=6)


NOSE = skeletons.H36M_17.joints.index("nose")


@pytest.fixture
def canonpose(tmp_path):
    takes = releases.write(tmp_path, formats=("canonpose",))
    return tmp_path / "detections.pickle", takes


def edit_pickle(path, change):
    content = pickle.loads(path.read_bytes())
    change(content)
    path.write_bytes(pickle.dumps(content))


CPN = "cpn_ft_h36m_dbb"


@pytest.fixture
def archives(tmp_path):
    return tmp_path, releases.write(tmp_path, formats=("videopose3d",), num_takes=6)


def edit(path, change):
    """Loads an archive as its authors do, changes it and saves it."""
    with np.load(path, allow_pickle=True) as archive:
        content = {key: archive[key].item() for key in archive.files}
    change(content)
    np.savez_compressed(path, **content)


def drop(*keys):
    return lambda content: functools.reduce(operator.getitem, keys[:-1], content).pop(keys[-1])


def put(value, *keys):
    """Returns what puts a value into nested dictionaries."""
    *outer, last = keys
    return lambda content: functools.reduce(operator.getitem, outer, content).update({last: value})


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
    refusals.refused("exists", human36m_release.CDFProjections(root).read, "S1", "Walking 1")


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


def test_the_file_is_what_canonpose_loads(canonpose):
    content = pickle.loads(canonpose[0].read_bytes())
    assert np.unique(content["subjects"]).tolist() == [1, 9]
    assert content["poses_2d_pred"]["54138969"].shape == (4 * 8, 32)
    assert content["confidences"]["60457274"].shape == (4 * 8, 16)
    # Their root is joint 6.
    root = content["poses_2d_pred"]["54138969"].reshape(-1, 2, 16)[:8, :, 6]
    written = canonpose[1]["S1_Directions_1"].keypoints_2d[0, :8, skeletons.ROOT]
    np.testing.assert_allclose(root, written, atol=1e-3)


def test_a_subject_is_read_back_without_a_nose(canonpose):
    path, takes = canonpose
    views = human36m_release.CanonPoseDetections(path).read("S9", human36m_release.CANONPOSE_TAKE)
    own = [take for clip, take in takes.items() if clip.startswith("S9_")]
    for camera, view in enumerate(views):
        keypoints_2d = np.concatenate([take.keypoints_2d[camera, :8] for take in own])
        confidence = np.concatenate([take.confidence[camera, :8] for take in own])
        keypoints_2d[:, NOSE], confidence[:, NOSE] = 0.0, 0.0
        np.testing.assert_allclose(view.keypoints_2d, keypoints_2d, atol=1e-3)
        np.testing.assert_allclose(view.confidence, confidence, atol=1e-6)


def test_a_subject_is_one_clip(canonpose):
    reader = human36m_release.CanonPoseDetections(canonpose[0])
    assert reader.subjects() == ["S1", "S9"]
    assert reader.takes("S9") == [human36m_release.CANONPOSE_TAKE]
    refusals.refused(r"name every subject.*S1, S9 without S5", reader.takes, "S5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("subjects"), "`subjects` must be a list of numbers"),
        (put(["S1"] * 32, "subjects"), "must be a list of numbers"),
        (lambda content: content["subjects"].pop(), "have a row for each of the 31 subjects"),
        (drop("confidences"), "`confidences 54138969` must be there"),
        (drop("poses_2d_pred", "55011271"), "`poses_2d_pred 55011271` must be there"),
        (put(np.ones((32, 34)), "poses_2d_pred", "55011271"), r"\[any, 32\]. .*: \(32, 34\)"),
        (put(np.full((32, 16), np.nan), "confidences", "55011271"), "55011271` must be finite"),
    ],
)
def test_another_content_is_refused(canonpose, change, message):
    path, _ = canonpose
    edit_pickle(path, change)
    with pytest.raises(errors.RecordingError, match=message):
        human36m_release.CanonPoseDetections(path).read("S1", human36m_release.CANONPOSE_TAKE)


def test_a_missing_file_and_another_object_are_refused(tmp_path):
    path = tmp_path / "detections.pickle"
    refusals.refused("`file` must be there", human36m_release.CanonPoseDetections(path).subjects)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(errors.RecordingError, match=r"be a dictionary. Received: list"):
        human36m_release.CanonPoseDetections(path).subjects()


def test_a_damaged_pickle_ends_in_a_refusal_or_in_values(canonpose):
    path, _ = canonpose
    reader = human36m_release.CanonPoseDetections(path)

    def read():
        # Files may be written faster than their time of change advances.
        human36m_release.load_canonpose.forget()
        reader.read("S1", human36m_release.CANONPOSE_TAKE)

    assert damage.assert_only_our_errors(read, path, count=200) > 50


def test_the_archives_are_what_videopose3d_loads(archives):
    root, takes = archives
    with np.load(root / "data_3d_h36m.npz", allow_pickle=True) as archive:
        poses = archive["positions_3d"].item()
    assert poses["S1"]["Photo 1"].shape == (8, 32, 3)
    assert poses["S1"]["Photo 1"].dtype == np.float32
    with np.load(root / f"data_2d_h36m_{CPN}.npz", allow_pickle=True) as archive:
        metadata = archive["metadata"].item()
        views = archive["positions_2d"].item()["S9"]["Photo 1"]
    assert metadata["num_joints"] == 17
    assert metadata["keypoints_symmetry"] == [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
    assert [view.shape for view in views] == [(9, 17, 2), (10, 17, 2), (11, 17, 2), (8, 17, 2)]
    assert len(takes) == 12


def test_ground_truth_alone_is_projected(archives):
    root, _ = archives
    assert human36m_release.detector_names(root) == [CPN, "gt"]
    assert human36m_release.ArchiveDetections(root, "gt").is_projected
    assert not human36m_release.ArchiveDetections(root, CPN).is_projected
    assert human36m_release.ArchiveDetections(root, CPN).subjects() == ["S1", "S2", "S9"]


def view_of(root, keypoints, **metadata):
    """Returns a camera's view of a take after its keypoints, and what is told of them, changed."""

    def change(content):
        content["metadata"] |= metadata
        content["positions_2d"]["S1"]["Eating 1"] = [*keypoints]

    edit(human36m_release.archive_keypoints_path(root, CPN), change)
    return human36m_release.ArchiveDetections(root, CPN).read("S1", "Eating 1")[0]


def test_coco_joints_are_converted(archives):
    coco = np.random.default_rng(0).uniform(100, 900, (8, 17, 2)).astype(np.float32)
    sides = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]
    view = view_of(archives[0], [coco] * 4, layout_name="coco", keypoints_symmetry=sides)
    index = skeletons.H36M_17.joints.index
    np.testing.assert_allclose(view.keypoints_2d[:, index("left_knee")], coco[:, 13])
    pelvis = (coco[:, 11] + coco[:, 12]) / 2
    np.testing.assert_allclose(view.keypoints_2d[:, index("pelvis")], pelvis, rtol=1e-6)


def test_hourglass_joints_are_converted(archives):
    root, _ = archives
    keypoints = np.random.default_rng(0).uniform(100, 900, (8, 16, 2))
    sides = [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]
    edit(human36m_release.archive_keypoints_path(root, CPN), drop("metadata", "layout_name"))
    view = view_of(root, [keypoints] * 4, num_joints=16, keypoints_symmetry=sides)
    expected = protocol.joints_from_hourglass(keypoints, np.ones((8, 16)))
    np.testing.assert_allclose(view.keypoints_2d, expected[0])
    np.testing.assert_array_equal(view.confidence, expected[1])


def test_a_third_column_is_confidence(archives):
    root, takes = archives
    written = takes["S1_Eating_1"]
    confidence = np.maximum(written.confidence, 0.01)[..., np.newaxis]
    view = view_of(root, np.concatenate([np.maximum(written.keypoints_2d, 1), confidence], axis=-1))
    np.testing.assert_allclose(view.confidence, confidence[0, ..., 0])


POSE, SEEN = ("positions_3d", "S1", "Eating 1"), ("positions_2d", "S1", "Eating 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("positions_3d"), "no member called"),
        (put([1], "positions_3d"), "`positions_3d` must be a dictionary of subjects"),
        (drop(*POSE[:2]), "`positions_3d S1 Eating 1` must be there"),
        (put(np.ones((8, 17, 3)), *POSE), r"S1 Eating 1` must have shape \[any, 32, 3"),
        (put(np.full((8, 32, 3), np.nan), *POSE), "must be finite"),
        (put("text", *POSE), "must be an array of numbers. Received: str"),
        (put(1000 * np.random.default_rng(0).random((8, 32, 3)), *POSE), "must be in m, of people"),
    ],
)
def test_poses_that_cannot_be_are_refused(archives, change, message):
    root, _ = archives
    edit(human36m_release.archive_pose_path(root), change)
    refusals.refused(message, human36m_release.ArchivePoses(root).read, "S1", "Eating 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("metadata"), "`metadata` must be a dictionary"),
        (drop("metadata", "num_joints"), "must have `num_joints` and `keypoints_symmetry`"),
        (put(16, "metadata", "num_joints"), "must describe the joints of h36m, coco, mpii"),
        (put("coco", "metadata", "layout_name"), "must describe the joints of"),
        (put([1, 2], "metadata", "keypoints_symmetry"), "must have `num_joints` and"),
        (drop(*SEEN), "`positions_2d S1 Eating 1` must be there"),
        (put([np.ones((8, 17, 2))] * 3, *SEEN), "list of the 4 cameras' arrays.*of 3 entries"),
        (put(None, *SEEN), "list of the 4 cameras' arrays"),
        (put([np.ones((8, 16, 2))] * 4, *SEEN), r"Eating 1 54138969` must have shape \[any, 17, 2"),
        (put([np.full((8, 17, 2), np.nan)] * 4, *SEEN), "must be finite"),
    ],
)
def test_detections_that_cannot_be_are_refused(archives, change, message):
    root, _ = archives
    edit(human36m_release.archive_keypoints_path(root, CPN), change)
    refusals.refused(message, human36m_release.ArchiveDetections(root, CPN).read, "S1", "Eating 1")


def test_a_missing_archive_is_named(tmp_path):
    for reader in (
        human36m_release.ArchivePoses(tmp_path),
        human36m_release.ArchiveDetections(tmp_path, "gt"),
    ):
        refusals.refused(r"npz: `file` must be there", reader.takes, "S1")


def test_damaged_archives_end_in_a_refusal_or_in_values(tmp_path):
    releases.write(tmp_path, formats=("videopose3d",), num_takes=1, num_frames=2)
    for path, reader in (
        (human36m_release.archive_pose_path(tmp_path), human36m_release.ArchivePoses(tmp_path)),
        (
            human36m_release.archive_keypoints_path(tmp_path, CPN),
            human36m_release.ArchiveDetections(tmp_path, CPN),
        ),
    ):

        def read(reader=reader):
            # Files may be written faster than their time of change advances.
            human36m_release.load_archive.forget()
            reader.read("S1", "Directions 1")

        assert damage.assert_only_our_errors(read, path, count=150) > 100
