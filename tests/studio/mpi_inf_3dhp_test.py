import h5py
import numpy as np
import pytest
import scipy.io

from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import mpi_inf_3dhp, people
from tests.datasets.mpi_inf_3dhp import releases


def files_below(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_the_files_lie_where_the_releases_do(tmp_path):
    releases.write(tmp_path)
    assert files_below(tmp_path) == [
        *("S1/Seq1/annot.mat", "S1/Seq1/camera.calibration", "S1/Seq2/annot.mat"),
        *("S1/Seq2/camera.calibration", "detections.npz"),
        *("mpi_inf_3dhp_test_set/TS1/annot_data.mat", "mpi_inf_3dhp_test_set/TS5/annot_data.mat"),
        *("p_stmo/camera.calibration", "p_stmo/data_test_3dhp.npz", "p_stmo/data_train_3dhp.npz"),
    ]


@pytest.mark.parametrize(
    ("format_", "expected"),
    [("original", "S1/Seq1/annot.mat"), ("p_stmo", "p_stmo/camera.calibration")],
)
def test_formats_are_written_one_by_one(tmp_path, format_, expected):
    releases.write(tmp_path, formats=(format_,), num_frames=2)
    written = files_below(tmp_path)
    assert written[0] == expected
    assert "detections.npz" not in written


def test_the_metric_pose_reprojects_and_the_universal_one_does_not():
    filmed = releases.training_truth().filmed
    camera = releases.training_truth().camera
    seen = cameras.project(filmed.annot3 / 1000, camera.intrinsics[:, np.newaxis])
    np.testing.assert_allclose(seen, filmed.annot2, atol=1e-9)
    scaled = cameras.project(filmed.univ_annot3 / 1000, camera.intrinsics[:, np.newaxis])
    off = np.linalg.norm(scaled - filmed.annot2, axis=-1)
    assert off.max() > 5
    pelvis = protocol.ALL_28.index("pelvis")
    np.testing.assert_allclose(off[..., pelvis], 0, atol=1e-9)


def test_detections_are_near_what_is_seen_inside_the_image():
    filmed = releases.training_truth().filmed
    keypoints_2d, confidence = filmed.detected
    off = np.linalg.norm(keypoints_2d - filmed.annot2[:, :, protocol.H36M_FROM_28], axis=-1)
    is_seen = confidence > 0
    assert is_seen.mean() > 0.9
    assert 1 < np.median(off[is_seen]) < 10
    assert (keypoints_2d <= 2048).all()
    assert keypoints_2d.max() > 1100


def test_the_calibration_is_laid_out_by_the_character_as_the_fields_parsers_want_it(tmp_path):
    path = tmp_path / "camera.calibration"
    rig = mpi_inf_3dhp.training_rig(0)
    mpi_inf_3dhp.write_calibration(path, rig)
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 7 * 14
    assert lines[1 + 7 * 3] == "name          3\n"
    assert lines[2:5] == ["  sensor      10 10\n", "  size        2048 2048\n", "  animated    0\n"]
    assert lines[7] == "  radial      0\n"
    for camera in (0, 13):
        # They cut 11 characters in front, a blank and the line's end behind.
        intrinsic = [float(word) for word in lines[camera * 7 + 5][11:-2].split()]
        extrinsic = [float(word) for word in lines[camera * 7 + 6][11:-2].split()]
        size = [int(word) for word in lines[camera * 7 + 3][14:].split()]
        expected = rig.camera.intrinsics[camera]
        np.testing.assert_allclose(np.reshape(intrinsic, (4, 4))[:3, :3], expected, rtol=1e-6)
        rotation, translation = np.reshape(extrinsic, (4, 4))[:3, :3], extrinsic[3:12:4]
        center = -rotation.T @ translation
        assert size == [2048, 2048]
        # Millimeters, y up.
        np.testing.assert_allclose(center[1], 1000 * mpi_inf_3dhp.HEIGHTS[camera], atol=0.01)


def test_the_annotation_has_a_cell_a_camera_and_a_row_a_frame(tmp_path):
    rng = np.random.default_rng(0)
    variables = {
        name: rng.normal(size=(14, 5, 28, size))
        for name, size in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3))
    }
    mpi_inf_3dhp.write_annotation(tmp_path / "annot.mat", variables)
    found = scipy.io.loadmat(tmp_path / "annot.mat")
    for name, value in variables.items():
        assert found[name].shape == (14, 1)
        np.testing.assert_array_equal(found[name][6, 0].reshape(5, 28, -1), value[6])
    np.testing.assert_array_equal(found["cameras"][0], np.arange(14))
    assert found["frames"].shape == (5, 1)


def test_the_test_annotation_is_matlabs_hdf5(tmp_path):
    path = tmp_path / "annot_data.mat"
    value = np.arange(5 * 34.0).reshape(5, 1, 17, 2)
    mpi_inf_3dhp.write_test_annotation(path, {"annot2": value, "valid_frame": np.ones((5, 1))})
    start = path.read_bytes()[:520]
    assert start.startswith(b"MATLAB 7.3 MAT-file")
    assert start[124:128] == b"\x00\x02IM"
    assert start[512:] == b"\x89HDF\r\n\x1a\n"
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["annot2"], value)
        assert file["valid_frame"].attrs["MATLAB_class"] == b"double"


def test_an_archive_is_a_pickled_dictionary(tmp_path):
    path = tmp_path / "data_train_3dhp.npz"
    mpi_inf_3dhp.write_archive(path, {"S1 Seq1": [{"0": {"data_2d": np.ones(3)}}, 25]})
    # The way the field loads it; the file is our own.
    data = np.load(path, allow_pickle=True)["data"].item()
    assert data["S1 Seq1"][1] == 25
    np.testing.assert_array_equal(data["S1 Seq1"][0]["0"]["data_2d"], np.ones(3))


def test_joints_that_the_studio_has_stay_and_the_others_stand_on_their_neighbors():
    names, person = ("walking", "boxing", "sitting"), people.draw_person(0, "S1")
    rng = sequences.seeded_generator(0, "clip")
    motion, _ = mpi_inf_3dhp.perform_sequence(names, person, 12, 25.0, rng)
    filled = motion[:, mpi_inf_3dhp.ALL_28_FROM_17]
    np.testing.assert_array_equal(filled[:, protocol.H36M_FROM_28], motion)
    for joint, neighbor in (
        ("spine3", "neck"),
        ("left_clavicle", "neck"),
        ("right_hand", "right_wrist"),
        ("left_toe", "left_ankle"),
    ):
        first, second = (filled[:, protocol.ALL_28.index(name)] for name in (joint, neighbor))
        np.testing.assert_array_equal(first, second)


def test_people_of_all_sizes_become_one_size_about_the_pelvis():
    pelvis, neck = (protocol.ALL_28.index(name) for name in ("pelvis", "neck"))
    lengths = []
    for subject in ("S1", "S2"):
        person = people.draw_person(0, subject)
        pose = np.tile([1.0, 2.0, 3.0], (2, 28, 1))
        height = person.bone_lengths[[2, 3, 7, 8]].sum()
        pose[:, neck, 2] += height
        scaled = mpi_inf_3dhp.universal_pose(pose, person)
        np.testing.assert_array_equal(scaled[:, pelvis], pose[:, pelvis])
        lengths.append(scaled[0, neck, 2] - scaled[0, pelvis, 2])
    np.testing.assert_allclose(lengths, 1.25)


def test_the_rig_stands_at_the_heights_stated_and_sees_the_room():
    rig = mpi_inf_3dhp.training_rig(0)
    assert rig.names == tuple(str(index) for index in range(14))
    np.testing.assert_allclose(rig.camera.center[:, 2], mpi_inf_3dhp.HEIGHTS)
    middle = np.array([[[0.0, 0.0, 0.95]]])
    seen = cameras.project_from_world(middle, cameras.expand(rig.camera, -1))
    np.testing.assert_allclose(seen[:, 0, 0], np.full((14, 2), 1024), atol=300)


def test_the_chest_set_stands_evenly_around_the_room():
    center = mpi_inf_3dhp.training_rig(0).camera.center[list(protocol.CAMERA_SETS["chest"])]
    angle = np.sort(np.degrees(np.arctan2(center[:, 1], center[:, 0])) % 360)
    np.testing.assert_allclose(np.diff(angle), 72)
