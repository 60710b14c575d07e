import dataclasses
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from keras_mvlift import skeletons
from keras_mvlift.visualization import pictures

NOSE = skeletons.H36M_17.joints.index("nose")


@pytest.fixture
def row(keypoints_2d, pose):
    return pictures.Row(
        keypoints_2d=keypoints_2d,
        confidence=np.full(17, 0.8),
        pose_pred=pose,
        pose_reference=pose * 1.1,
        title="cam1, walking, frame 3",
        error_mm=42.0,
    )


@pytest.fixture
def file_of(tmp_path):
    def draw(*rows):
        path = tmp_path / "picture.png"
        pictures.lifted_poses(path, rows)
        return path.read_bytes()

    return draw


def _pixels(path):
    with Image.open(path) as image:
        image.load()
        return image.format, image.size, np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(("num_rows", "height"), [(1, 600), (3, 1480), (4, 1920)])
def test_a_picture_is_a_png_of_the_stated_size(tmp_path, row, num_rows, height):
    pictures.lifted_poses(tmp_path / "picture.png", [row] * num_rows)
    kind, size, pixels = _pixels(tmp_path / "picture.png")
    assert (kind, size) == ("PNG", (1440, height))
    assert pictures.size(num_rows) == size
    # Something is drawn, on white.
    assert (pixels[0, 0] == 255).all()
    assert 0.01 < (pixels < 200).any(axis=-1).mean() < 0.2


def test_a_note_stands_below_all_rows(tmp_path, row):
    shown = []
    for note in ("", "model 52.0, constant pose 114.2", "model 53.0, constant pose 114.2"):
        pictures.lifted_poses(tmp_path / "picture.png", [row], note)
        _, size, pixels = _pixels(tmp_path / "picture.png")
        assert size == pictures.size(1, has_note=bool(note)) == (1440, 640 if note else 600)
        shown.append(pixels)
    # The same but for how edges are smoothed; anything that moved by a pixel would differ by more.
    np.testing.assert_allclose(shown[0][:490].astype(int), shown[1][:490].astype(int), atol=64)
    assert (shown[1] != shown[2]).any()


def test_four_views_stay_below_200_kb(file_of, row):
    rng = np.random.default_rng(0)
    noisy = [
        dataclasses.replace(row, pose_pred=row.pose_pred + rng.normal(0, 0.1, (17, 3)))
        for _ in range(4)
    ]
    assert len(file_of(*noisy)) < 200_000


def test_equal_rows_give_equal_bytes(file_of, row):
    assert file_of(row, row) == file_of(row, row)


def test_a_users_matplotlib_settings_change_nothing(file_of, row):
    plain = file_of(row)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "figure.dpi": 30}):
        assert file_of(row) == plain
        assert matplotlib.rcParams["font.size"] == 20


@pytest.mark.parametrize("field", ["keypoints_2d", "confidence", "pose_pred", "pose_reference"])
def test_every_input_shows(file_of, row, field):
    changed = getattr(row, field).copy()
    changed[NOSE] *= 0.9
    assert file_of(dataclasses.replace(row, **{field: changed})) != file_of(row)


@pytest.mark.parametrize("change", [{"title": "cam2"}, {"error_mm": 43.0}, {"image_size": (9, 9)}])
def test_title_error_and_image_size_show(file_of, row, change):
    assert file_of(dataclasses.replace(row, **change)) != file_of(row)


def test_where_a_missing_joint_is_said_to_be_leaves_no_mark(file_of, row):
    confidence = np.where(np.arange(17) == NOSE, 0.0, row.confidence)
    missing = dataclasses.replace(row, confidence=confidence)
    moved = row.keypoints_2d.copy()
    moved[NOSE] = (0.0, 0.0)
    assert file_of(dataclasses.replace(missing, keypoints_2d=moved)) == file_of(missing)


def test_a_row_can_do_without_a_reference(file_of, row):
    assert file_of(dataclasses.replace(row, pose_reference=None)) != file_of(row)


def test_all_rows_have_one_scale(tmp_path, row):
    # A giant below makes the first row's poses smaller; its 2D joints stay as they are.
    def first_row(*rows):
        pictures.lifted_poses(tmp_path / "picture.png", rows)
        pixels = _pixels(tmp_path / "picture.png")[2]
        return np.split(pixels[60:480], [560], axis=1)

    giant = dataclasses.replace(row, pose_pred=row.pose_pred * 2)
    image, views = first_row(row, row)
    image_above_giant, views_above_giant = first_row(row, giant)
    # The palette is the picture's own: a color may move by a shade.
    assert np.abs(views.astype(int) - views_above_giant).mean() > 5
    assert np.abs(image.astype(int) - image_above_giant).mean() < 1


def test_a_long_title_ends_before_the_error(tmp_path, row):
    def right_end(title):
        pictures.lifted_poses(tmp_path / "picture.png", [dataclasses.replace(row, title=title)])
        pixels = _pixels(tmp_path / "picture.png")[2]
        return pixels[60:100, -300:]

    long, short = right_end("W" * 500), right_end("W")
    assert np.abs(long.astype(int) - short).mean() < 1


def test_dollars_in_a_title_are_no_formula(file_of, row):
    file_of(dataclasses.replace(row, title=r"cam_1 $\frac$"))


@pytest.mark.parametrize("field", ["keypoints_2d", "confidence", "pose_pred", "pose_reference"])
def test_a_wrong_shape_is_refused_by_name(row, field):
    with pytest.raises(ValueError, match=rf"`{field}` must have shape \(17"):
        dataclasses.replace(row, **{field: np.zeros((5, 3))})


def test_no_row_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`rows` must hold at least one view"):
        pictures.lifted_poses(tmp_path / "picture.png", [])


def test_drawing_loads_neither_pyplot_nor_tensorflow():
    code = (
        "import sys; from keras_mvlift.visualization import pictures, tables; "
        "print([name for name in ('matplotlib.pyplot', 'tensorflow', 'tfx', 'apache_beam') "
        "if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
