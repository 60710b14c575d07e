import numpy as np
import pytest

from keras_mvlift.studio import human36m
from tests.datasets.human36m import releases


def test_a_release_is_written_take_by_take(tmp_path):
    takes = human36m.write_release(tmp_path, subjects=("S9",), num_takes=3, num_frames=2)
    path = tmp_path / "S9" / "MyPoseFeatures" / "D3_Positions"
    assert not path.exists()
    assert next(takes).name == "Directions 1"
    assert [file.name for file in path.iterdir()] == ["Directions 1.cdf"]
    assert not (tmp_path / "data_3d_h36m.npz").exists()
    assert [take.name for take in takes] == ["Discussion 1", "Eating 1"]
    assert (tmp_path / "data_3d_h36m.npz").is_file()


def test_a_release_is_the_same_for_the_same_seed(tmp_path):
    for name in ("first", "second"):
        releases.write(tmp_path / name, num_takes=1, formats=("cdf",))
    files = [path for path in (tmp_path / "first").rglob("*") if path.is_file()]
    assert len(files) == 2 * 5
    for path in files:
        other = tmp_path / "second" / path.relative_to(tmp_path / "first")
        assert path.read_bytes() == other.read_bytes()


def test_formats_may_be_chosen(tmp_path):
    releases.write(tmp_path, formats=("canonpose",))
    assert [path.name for path in tmp_path.iterdir()] == ["detections.pickle"]


def test_a_folder_that_holds_anything_is_refused_at_once(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FileExistsError, match="`root` must be an empty folder or not there"):
        human36m.write_release(tmp_path)
    with pytest.raises(FileExistsError):
        human36m.write_release(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": ("S2",)}, "`subjects` must name some of S1, S5.*Received: .'S2'"),
        ({"subjects": ()}, "`subjects` must name some of"),
        ({"subjects": ("S1", "S1")}, "each once"),
        ({"formats": ("h5",)}, "`formats` must name some of cdf, videopose3d"),
        ({"num_takes": 31}, r"`num_takes` must lie in \[1, 30\]. Received: 31"),
        ({"num_distinct_takes": 0}, "`num_distinct_takes` must lie in"),
        ({"num_frames": 0}, "`num_frames` must be positive"),
        ({"seed": -1}, "`seed` not negative"),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_once(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        human36m.write_release(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_detector_may_be_chosen(tmp_path):
    from_any = releases.write(tmp_path / "any", num_takes=1, formats=("cdf",))
    take = from_any["S1_Directions_1"]
    assert np.abs(take.keypoints_2d[:, :8] - take.exact_2d).max() > 1
