import h5py
import numpy as np
import scipy.io

from keras_mvlift.studio import mpi_inf_3dhp


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
