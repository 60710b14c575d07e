import numpy as np
import pytest
import scipy.io

from keras_mvlift import errors
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, release
from keras_mvlift.geometry import triangulation
from keras_mvlift.studio import mpi_inf_3dhp
from tests.datasets.mpi_inf_3dhp import releases
from tests.untrusted import damage

CHEST = tuple(releases.CHEST)


@pytest.fixture
def folder(tmp_path):
    return releases.write(tmp_path, formats=("original",)) / "S1" / "Seq1"


def read(folder, num_frames=None):
    return release.read_training_take(folder, CHEST, num_frames)


def rewrite(folder, change):
    """Changes the variables of an annotation, `[14, T, ...]` each, in place."""
    path = folder / "annot.mat"
    found = scipy.io.loadmat(path)
    names = ("annot2", "annot3", "univ_annot3")
    cells = {name: np.stack([cell for cell in found[name][:, 0]]) for name in names}
    cells = {name: value.reshape(14, len(value[0]), 28, -1) for name, value in cells.items()}
    mpi_inf_3dhp.write_annotation(path, change(cells) or cells)


def test_what_was_written_is_read_back(folder):
    truth = releases.training_truth(folder / "camera.calibration")
    take = read(folder)
    assert take.rig.names == ("0", "2", "4", "7", "8")
    expected = truth.filmed.annot2[releases.CHEST][:, :, protocol.H36M_FROM_28]
    np.testing.assert_allclose(take.keypoints_2d, expected, atol=1e-6)
    assert np.abs(take.pose_world - truth.pose_world).max() < 1e-6


def test_the_world_pose_reprojects_to_a_thousandth_of_a_pixel(folder):
    take = read(folder)
    camera = take.rig.camera
    moved = np.einsum(
        "vij,vtkj->vtki", camera.rotation, take.pose_world - camera.center[:, None, None]
    )
    seen = np.einsum("vij,vtkj->vtki", camera.intrinsics, moved)
    np.testing.assert_allclose(seen[..., :2] / seen[..., 2:], take.keypoints_2d, atol=1e-3)


def test_what_the_image_points_triangulate_is_the_world_pose(folder):
    take = read(folder)
    by_frame = take.keypoints_2d.swapaxes(0, 1)
    rig = type(take.rig.camera)(
        *(np.broadcast_to(field, (len(by_frame), *field.shape)) for field in take.rig.camera)
    )
    points, is_seen = triangulation.triangulate(by_frame, np.ones(by_frame.shape[:-1]), rig)
    assert is_seen.all()
    assert np.linalg.norm(points - take.pose_world, axis=-1).max() < 1e-3


def test_only_the_first_frames_are_read(folder):
    whole, start = read(folder), read(folder, 4)
    np.testing.assert_array_equal(start.keypoints_2d, whole.keypoints_2d[:, :4])
    np.testing.assert_array_equal(start.pose_world, whole.pose_world[:4])


def test_fewer_frames_than_asked_for_are_refused(folder):
    message = "`frames` must number 6416 or more.*'all'. Received: 15"
    with pytest.raises(errors.RecordingError, match=message):
        read(folder, 6416)


def test_the_calibration_of_another_day_is_refused(folder, tmp_path_factory):
    other = releases.write(tmp_path_factory.mktemp("other"), seed=9, formats=("original",))
    text = (other / "S1" / "Seq1" / "camera.calibration").read_text()
    (folder / "camera.calibration").write_text(text)
    with pytest.raises(errors.RecordingError, match="must fit the annotation") as caught:
        read(folder)
    assert caught.value.path == folder / "camera.calibration"
    assert caught.value.field == "calibration"


def test_universal_poses_in_place_of_metric_ones_are_refused(folder):
    rewrite(folder, lambda cells: cells | {"annot3": cells["univ_annot3"]})
    with pytest.raises(errors.RecordingError, match="px between annot3 and annot2"):
        read(folder)


def poison(name, camera, frame, value):
    def change(cells):
        cells[name][camera, frame, 5, 1] = value

    return change


@pytest.mark.parametrize("name", ["annot2", "annot3"])
def test_a_frame_with_nan_is_refused_by_camera_and_frame(folder, name):
    rewrite(folder, poison(name, 4, 11, np.nan))
    with pytest.raises(errors.RecordingError, match=r"finite.*Received: nan in frame 11") as caught:
        read(folder)
    assert (caught.value.path, caught.value.field) == (folder / "annot.mat", f"{name}{{4}}")


def test_nan_that_is_not_read_does_no_harm(folder):
    whole = read(folder, 10)
    rewrite(folder, poison("annot2", 4, 11, np.nan))
    rewrite(folder, poison("annot3", 1, 3, np.nan))
    np.testing.assert_array_equal(read(folder, 10).pose_world, whole.pose_world)


def test_a_length_mismatch_between_2d_and_3d_is_refused(folder):
    rewrite(folder, lambda cells: cells | {"annot3": cells["annot3"][:, :-1]})
    with pytest.raises(errors.RecordingError, match=r"as many frames in .*15.*14"):
        read(folder)


def resave(folder, **variables):
    found = scipy.io.loadmat(folder / "annot.mat")
    kept = {name: value for name, value in found.items() if not name.startswith("__")} | variables
    scipy.io.savemat(folder / "annot.mat", {k: v for k, v in kept.items() if v is not None})


@pytest.mark.parametrize(
    ("variables", "field", "message"),
    [
        ({"annot3": None}, "annot3", "be a variable of the file"),
        ({"annot2": np.ones((14, 56))}, "annot2", r"be a cell array of shape \(14, 1\).*float64"),
        ({"annot2": np.full((13, 1), 0.0).astype(object)}, "annot2", r"be a cell array.*\(13, 1\)"),
    ],
)
def test_variables_that_are_not_as_released_are_refused(folder, variables, field, message):
    resave(folder, **variables)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        read(folder)
    assert (caught.value.path, caught.value.field) == (folder / "annot.mat", field)


def test_a_cell_of_17_joints_is_refused(folder):
    cells = scipy.io.loadmat(folder / "annot.mat")["annot2"]
    cells[2, 0] = np.ones((15, 34))
    resave(folder, annot2=cells)
    message = r"`annot2\{2\}` must have shape \[any, 56\]. Received: \(15, 34\)"
    with pytest.raises(errors.RecordingError, match=message):
        read(folder)


@pytest.mark.parametrize("name", ["annot.mat", "camera.calibration"])
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(errors.RecordingError, match="be a file that exists") as caught:
        read(folder)
    assert caught.value.path == folder / name


def test_damage_ends_in_our_error_or_in_a_take(tmp_path):
    folder = releases.write(tmp_path, num_frames=2, formats=("original",)) / "S1" / "Seq1"
    path = folder / "annot.mat"
    refused = damage.assert_only_our_errors(lambda: read(folder), path, path.read_bytes())
    assert refused > 50
