import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.mpi_inf_3dhp import p_stmo, protocol
from keras_mvlift.geometry import triangulation
from keras_mvlift.studio import mpi_inf_3dhp
from tests.datasets.mpi_inf_3dhp import releases
from tests.untrusted import damage

CHEST = tuple(releases.CHEST)
ORDER = [protocol.TEST_FROM_28[joint] for joint in protocol.H36M_FROM_TEST]


@pytest.fixture
def root(tmp_path):
    return releases.write(tmp_path, formats=("p_stmo",)) / "p_stmo"


def archives(root, **options):
    defaults = {"cameras": CHEST, "first_frames": "all", "calibration": "camera.calibration"}
    return p_stmo.Archives(**{"root": str(root), **defaults, **options})


def change(root, edit, name="data_train_3dhp.npz"):
    # Our own file, so that loading its pickle is safe.
    data = np.load(root / name, allow_pickle=True)["data"].item()
    mpi_inf_3dhp.write_archive(root / name, edit(data) or data)


def test_a_training_clip_is_read_back(root):
    truth = releases.training_truth(root / "camera.calibration", sequence="Seq2")
    clip = archives(root).training_clip("S1", "Seq2")
    found = clip.sequence
    expected = truth.filmed.annot2[releases.CHEST][:, :, ORDER]
    np.testing.assert_allclose(found.keypoints_2d, expected, atol=1e-6)
    assert (found.name, found.subject, found.action) == ("S1_Seq2", "S1", "Seq2")
    assert (found.frame_rate, found.num_views) == (50.0, 5)
    assert clip.views[-1] == "S1/Seq2/8"
    # The poses of the archive are of another size; nothing may be measured against them.
    assert found.pose_world is None


def test_what_the_image_points_triangulate_is_the_metric_pose(root):
    truth = releases.training_truth()
    found = archives(root).training_clip("S1", "Seq1").sequence
    by_frame = found.keypoints_2d.swapaxes(0, 1)
    rig = type(found.camera)(
        *(np.broadcast_to(field, (len(by_frame), *field.shape)) for field in found.camera)
    )
    points, _ = triangulation.triangulate(by_frame, np.ones(by_frame.shape[:-1]), rig)
    assert np.linalg.norm(points - truth.pose_world, axis=-1).max() < 1e-3


@pytest.mark.parametrize("subject", ["TS1", "TS5"])
def test_a_test_clip_is_read_back(root, subject):
    filmed = releases.lone_truth(subject).filmed
    reader = archives(root)
    assert reader.test_clips(subject) == [subject]
    clip = reader.test_clip(subject, subject)
    found = clip.sequence
    assert 0 < found.num_frames < releases.NUM_FRAMES
    expected = filmed.annot2[0][clip.frame][:, ORDER]
    np.testing.assert_allclose(found.keypoints_2d[0], expected, atol=1e-6)
    pose = found.pose_world @ found.camera.rotation[0].T
    expected = filmed.univ_annot3[0][clip.frame][:, ORDER] / 1000
    np.testing.assert_allclose(pose, expected, atol=1e-9)
    fx, fy, cx, cy = p_stmo.TEST_LENSES[subject]
    np.testing.assert_array_equal(found.camera.intrinsics[0], [[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def test_the_first_frames_are_those_asked_for(root):
    assert archives(root, first_frames=4).training_clip("S1", "Seq1").sequence.num_frames == 4
    with pytest.raises(errors.RecordingError, match="`S1 Seq1` must number 6416 or more"):
        archives(root, first_frames="table").training_clip("S1", "Seq1")


def test_the_calibration_of_another_rig_is_refused(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    releases.write(other, seed=9, num_frames=2, formats=("p_stmo",))
    path = other / "p_stmo" / "camera.calibration"
    with pytest.raises(errors.RecordingError, match="must fit the annotation") as caught:
        archives(root, calibration=str(path)).training_clip("S1", "Seq1")
    assert caught.value.path == path


def shift_camera(data):
    data["S1 Seq1"][0]["4"]["data_2d"] += [5.0, 0.0]


def test_image_points_that_do_not_meet_are_refused(root):
    change(root, shift_camera)
    with pytest.raises(errors.RecordingError, match="px from where its rays meet"):
        archives(root).training_clip("S1", "Seq1")


def test_cameras_that_the_archive_has_not_are_refused(root):
    with pytest.raises(errors.RecordingError, match=r"`S1 Seq1/3` must be a view.*0, 1, 2, 4"):
        archives(root, cameras=(0, 3)).training_clip("S1", "Seq1")


def entry(edit):
    def changed(data):
        return data | {"S1 Seq1": edit(data["S1 Seq1"])}

    return changed


def spoiled(field, edit, camera="4"):
    def changed(data):
        view = data["S1 Seq1"][0][camera]
        view[field] = edit(view[field])

    return changed


def poison(value):
    value[3] = np.nan
    return value


@pytest.mark.parametrize(
    ("edit", "field", "message"),
    [
        (lambda data: [data], "data", "be a pickled dictionary. Received: ndarray"),
        (lambda data: {"S2 Seq1": 1}, "data", "have a key 'S1 Seq1'. Received: S2 Seq1"),
        (entry(lambda pair: pair[0]), "S1 Seq1", "be a list of views by camera and a frame rate"),
        (entry(lambda pair: pair[::-1]), "S1 Seq1", "be a list of views by camera"),
        (entry(lambda pair: [pair[0], 0]), "S1 Seq1", "have a positive frame rate. Received: 0"),
        (entry(lambda pair: [pair[0], "x"]), "S1 Seq1", "have a positive frame rate"),
        (entry(lambda pair: [{"0": 1}, 25]), "S1 Seq1/0", "be a view of the archive"),
        (spoiled("data_2d", lambda value: value[:-1]), "S1 Seq1/4/data_3d", r"shape \[14, 17, 3\]"),
        (spoiled("data_2d", lambda value: None), "S1 Seq1/4/data_2d", "be an array of numbers"),
        (spoiled("data_2d", poison), "S1 Seq1/4/data_2d", "finite.*nan in frame 3"),
        (spoiled("data_3d", poison), "S1 Seq1/4/data_3d", "finite.*nan in frame 3"),
    ],
)
def test_an_archive_that_is_not_as_published_is_refused(root, edit, field, message):
    change(root, edit)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        archives(root).training_clip("S1", "Seq1")
    assert (caught.value.path, caught.value.field) == (root / "data_train_3dhp.npz", field)


def shorten(data):
    for view in data["S1 Seq1"][0].values():
        view.update({name: value[:9] for name, value in view.items()})
        break


def test_cameras_of_unequal_length_are_refused(root):
    change(root, shorten)
    with pytest.raises(errors.RecordingError, match=r"as many frames in every camera.*\[9, 15"):
        archives(root).training_clip("S1", "Seq1")


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        (np.zeros(15), "be 1 in some frame"),
        (np.full(15, np.nan), "be 0 or 1"),
        (np.ones(14), "have shape"),
        (None, "be an array"),
    ],
)
def test_a_test_clip_without_valid_frames_is_refused(root, valid, message):
    change(root, lambda data: data["TS1"].update(valid=valid), "data_test_3dhp.npz")
    with pytest.raises(errors.RecordingError, match=message) as caught:
        archives(root).test_clip("TS1", "TS1")
    assert caught.value.field == "TS1/valid"


@pytest.mark.parametrize(
    ("field", "factor", "message"),
    [("data_3d", 1e-3, "be in mm, of people of human size"), ("data_2d", 1e-3, "be pixels")],
)
def test_test_clips_in_other_units_are_refused(root, field, factor, message):
    def scale(data):
        data["TS5"][field] = data["TS5"][field] * factor

    change(root, scale, "data_test_3dhp.npz")
    with pytest.raises(errors.RecordingError, match=message):
        archives(root).test_clip("TS5", "TS5")


def test_damage_ends_in_our_error_or_in_a_clip(root):
    path = root / "data_train_3dhp.npz"
    reader = archives(root)
    data = path.read_bytes()
    assert damage.assert_only_our_errors(
        lambda: reader.training_clip("S1", "Seq1"), path, data, count=60
    )
