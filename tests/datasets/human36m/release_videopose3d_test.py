import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import protocol
from keras_mvlift.datasets.human36m import release as human36m_release
from tests.datasets.human36m import releases
from tests.untrusted import damage

CPN = "cpn_ft_h36m_dbb"


@pytest.fixture
def release(tmp_path):
    return tmp_path, releases.write(tmp_path, formats=("videopose3d",), num_takes=6)


def edit(path, change):
    """Loads an archive as its authors do, changes it and saves it."""
    with np.load(path, allow_pickle=True) as archive:
        content = {key: archive[key].item() for key in archive.files}
    change(content)
    np.savez_compressed(path, **content)


def test_the_archives_are_what_videopose3d_loads(release):
    root, takes = release
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


def test_poses_are_read_back_to_a_thousandth_of_a_millimeter(release):
    root, takes = release
    pose = human36m_release.ArchivePoses(root).read("S1", "Photo 1")
    np.testing.assert_allclose(pose, takes["S1_Photo_1"].pose_world, atol=1e-6)


@pytest.mark.parametrize(("name", "field"), [("gt", "exact_2d"), (CPN, "keypoints_2d")])
def test_keypoints_are_read_back_to_a_thousandth_of_a_pixel(release, name, field):
    root, takes = release
    views = human36m_release.ArchiveDetections(root, name).read("S9", "Eating 1")
    written = getattr(takes["S9_Eating_1"], field)
    for view, expected in zip(views, written, strict=True):
        expected = expected[: len(view.keypoints_2d)]
        np.testing.assert_allclose(view.keypoints_2d, expected, atol=1e-3)
        np.testing.assert_array_equal(view.confidence, (expected != 0).any(axis=-1))


def test_ground_truth_alone_is_projected(release):
    root, _ = release
    assert human36m_release.detector_names(root) == [CPN, "gt"]
    assert human36m_release.ArchiveDetections(root, "gt").is_projected
    assert not human36m_release.ArchiveDetections(root, CPN).is_projected
    assert human36m_release.ArchiveDetections(root, CPN).subjects() == ["S1", "S2", "S9"]


def test_coco_joints_are_converted(release):
    root, _ = release
    rng = np.random.default_rng(0)
    coco = rng.uniform(100, 900, (8, 17, 2)).astype(np.float32)
    sides = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]

    def change(content):
        content["metadata"] = {
            "layout_name": "coco",
            "num_joints": 17,
            "keypoints_symmetry": sides,
        }
        content["positions_2d"]["S1"]["Eating 1"] = [coco] * 4

    edit(human36m_release.archive_keypoints_path(root, CPN), change)
    view = human36m_release.ArchiveDetections(root, CPN).read("S1", "Eating 1")[0]
    index = skeletons.H36M_17.joints.index
    np.testing.assert_allclose(view.keypoints_2d[:, index("left_knee")], coco[:, 13])
    pelvis = (coco[:, 11] + coco[:, 12]) / 2
    np.testing.assert_allclose(view.keypoints_2d[:, index("pelvis")], pelvis, rtol=1e-6)


def test_hourglass_joints_are_converted(release):
    root, _ = release
    keypoints = np.random.default_rng(0).uniform(100, 900, (8, 16, 2))

    def change(content):
        sides = [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]
        content["metadata"] = {"num_joints": 16, "keypoints_symmetry": sides}
        content["positions_2d"]["S1"]["Eating 1"] = [keypoints] * 4

    edit(human36m_release.archive_keypoints_path(root, CPN), change)
    view = human36m_release.ArchiveDetections(root, CPN).read("S1", "Eating 1")[0]
    expected = protocol.joints_from_hourglass(keypoints, np.ones((8, 16)))
    np.testing.assert_allclose(view.keypoints_2d, expected[0])
    np.testing.assert_array_equal(view.confidence, expected[1])


def test_a_third_column_is_confidence(release):
    root, takes = release
    written = takes["S1_Eating_1"]
    confidence = np.maximum(written.confidence, 0.01)[..., np.newaxis]
    seen = np.concatenate([np.maximum(written.keypoints_2d, 1), confidence], axis=-1)
    path = human36m_release.archive_keypoints_path(root, CPN)
    edit(path, lambda content: content["positions_2d"]["S1"].update({"Eating 1": [*seen]}))
    view = human36m_release.ArchiveDetections(root, CPN).read("S1", "Eating 1")[0]
    np.testing.assert_allclose(view.confidence, confidence[0, ..., 0])


def drop(*keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def put(value, *keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


POSE = ("positions_3d", "S1", "Eating 1")
SEEN = ("positions_2d", "S1", "Eating 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("positions_3d"), "no member called"),
        (put([1], "positions_3d"), "`positions_3d` must be a dictionary of subjects"),
        (drop(*POSE[:2]), "`positions_3d S1 Eating 1` must be there"),
        (put(np.ones((8, 17, 3)), *POSE), r"`positions_3d S1 Eating 1` must have shape \(T, 32, 3"),
        (put(np.full((8, 32, 3), np.nan), *POSE), "must be finite"),
        (put("text", *POSE), "must be an array of real numbers. Received: str"),
        (put(1000 * np.random.default_rng(0).random((8, 32, 3)), *POSE), "must be in m, of people"),
    ],
)
def test_poses_that_cannot_be_are_refused(release, change, message):
    root, _ = release
    edit(human36m_release.archive_pose_path(root), change)
    with pytest.raises(errors.RecordingError, match=message):
        human36m_release.ArchivePoses(root).read("S1", "Eating 1")


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
        (put([np.ones((8, 16, 2))] * 4, *SEEN), r"Eating 1 54138969` must have shape \(T, 17, 2"),
        (put([np.full((8, 17, 2), np.nan)] * 4, *SEEN), "must be finite"),
    ],
)
def test_detections_that_cannot_be_are_refused(release, change, message):
    root, _ = release
    edit(human36m_release.archive_keypoints_path(root, CPN), change)
    with pytest.raises(errors.RecordingError, match=message):
        human36m_release.ArchiveDetections(root, CPN).read("S1", "Eating 1")


def test_a_missing_archive_is_named(tmp_path):
    for reader in (
        human36m_release.ArchivePoses(tmp_path),
        human36m_release.ArchiveDetections(tmp_path, "gt"),
    ):
        with pytest.raises(errors.RecordingError, match=r"npz: `file` must be there"):
            reader.takes("S1")


def test_damage_ends_in_a_refusal_or_in_values(tmp_path):
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

        assert damage.assert_only_our_errors(read, path, path.read_bytes(), count=150) > 100
