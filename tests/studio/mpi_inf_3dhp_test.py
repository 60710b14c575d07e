import numpy as np
import pytest

from keras_mvlift.datasets.mpi_inf_3dhp import protocol
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import mpi_inf_3dhp
from tests.datasets.mpi_inf_3dhp import releases


def files_below(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_the_files_lie_where_the_releases_do(tmp_path):
    releases.write(tmp_path)
    assert files_below(tmp_path) == [
        "S1/Seq1/annot.mat",
        "S1/Seq1/camera.calibration",
        "S1/Seq2/annot.mat",
        "S1/Seq2/camera.calibration",
        "detections.npz",
        "mpi_inf_3dhp_test_set/TS1/annot_data.mat",
        "mpi_inf_3dhp_test_set/TS5/annot_data.mat",
        "p_stmo/camera.calibration",
        "p_stmo/data_test_3dhp.npz",
        "p_stmo/data_train_3dhp.npz",
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


def test_a_seed_gives_one_release(tmp_path):
    first, again = (releases.write(tmp_path / name, formats=("detections",)) for name in "ab")
    other = releases.write(tmp_path / "c", formats=("detections",), seed=4)
    bytes_of = [(root / "detections.npz").read_bytes() for root in (first, again, other)]
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]


def test_clips_are_told_as_they_are_written(tmp_path):
    options = {"subjects": ("S2",), "test_subjects": ("TS3",), "num_frames": 2, "seed": 0}
    written = mpi_inf_3dhp.write_release(tmp_path, **options)
    assert next(written) == "S2_Seq1"
    assert (tmp_path / "S2" / "Seq1" / "annot.mat").is_file()
    assert not (tmp_path / "S2" / "Seq2").exists()
    assert [*written] == ["S2_Seq2", "TS3"]
    assert (tmp_path / "detections.npz").is_file()


def test_a_folder_that_holds_anything_is_refused_at_once(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(FileExistsError, match="`root` must be an empty folder or not there"):
        mpi_inf_3dhp.write_release(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": "S1"}, "`subjects` must be among S1"),
        ({"subjects": ("S9",)}, "`subjects` must be among S1, .*Received: \\('S9',\\)"),
        ({"test_subjects": ("S1",)}, "`test_subjects` must be among TS1"),
        ({"formats": ("videos",)}, "`formats` must be among original, p_stmo, detections"),
        ({"num_frames": 0}, "`num_frames` must be positive"),
    ],
)
def test_releases_that_cannot_be_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        mpi_inf_3dhp.write_release(tmp_path, **options)
