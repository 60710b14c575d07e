import dataclasses
import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import colors as mpl_colors
from matplotlib import figure
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
    # Something is drawn, on white.
    assert (pixels[0, 0] == 255).all()
    assert 0.01 < (pixels < 200).any(axis=-1).mean() < 0.2


def test_a_note_stands_below_all_rows(tmp_path, row):
    shown = []
    for note in ("", "model 52.0, constant pose 114.2", "model 53.0, constant pose 114.2"):
        pictures.lifted_poses(tmp_path / "picture.png", [row], note)
        _, size, pixels = _pixels(tmp_path / "picture.png")
        assert size == (1440, 640 if note else 600)
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


def test_where_a_missing_joint_is_said_to_be_leaves_no_mark(file_of, row):
    confidence = np.where(np.arange(17) == NOSE, 0.0, row.confidence)
    missing = dataclasses.replace(row, confidence=confidence)
    moved = row.keypoints_2d.copy()
    moved[NOSE] = (0.0, 0.0)
    assert file_of(dataclasses.replace(missing, keypoints_2d=moved)) == file_of(missing)


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


# Machado et al., A physiologically-based model for simulation of color vision deficiency, 2009,
# severity 1.0, linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ_FROM_RGB = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)


def _lab(color, vision):
    """CIELAB of a color as somebody sees it."""
    rgb = np.array(mpl_colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISIONS[vision] @ linear, 0, 1)
    xyz = XYZ_FROM_RGB @ seen / XYZ_FROM_RGB.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
def test_colors_stay_apart_in_every_color_vision(vision):
    used = (pictures.LEFT, pictures.RIGHT, pictures.MIDDLE, pictures.REFERENCE_COLOR)
    labs = [_lab(color, vision) for color in used]
    # About 2 is just noticeable; 40 is told apart at a glance.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(labs, 2)) > 38


def test_a_joint_has_the_color_of_its_side():
    named = {
        joint: mpl_colors.to_hex(pictures.joint_color(index)).upper()
        for index, joint in enumerate(skeletons.H36M_17.joints)
    }
    assert {color for joint, color in named.items() if "left" in joint} == {pictures.LEFT}
    assert {color for joint, color in named.items() if "right" in joint} == {pictures.RIGHT}
    rest = {color for joint, color in named.items() if "left" not in joint and "right" not in joint}
    assert rest == {pictures.MIDDLE}


THORAX = skeletons.H36M_17.joints.index("thorax")
SURE = np.ones(17)


def _drawn(*arguments, **options):
    axes = figure.Figure(figsize=(4, 3)).add_axes((0.1, 0.1, 0.8, 0.8))
    pictures.draw_keypoints(axes, *arguments, **options)
    return axes


def _marks(axes):
    return np.asarray(axes.collections[0].get_offsets())


def _lines(axes):
    return [line.get_xydata() for line in axes.lines]


def test_y_points_down_and_a_pixel_is_as_wide_as_high(keypoints_2d):
    for points in (keypoints_2d, 2 * keypoints_2d):
        axes = _drawn(points, SURE)
        axes.apply_aspect()
        right, down = axes.transData.transform([[1, 0], [0, 1]]) - axes.transData.transform((0, 0))
        np.testing.assert_allclose(right[0], -down[1])
        assert right[0] > 0


def test_without_an_image_every_seen_joint_lies_inside(keypoints_2d):
    for points in (keypoints_2d, keypoints_2d * (3, 1), keypoints_2d * (1, 3)):
        axes = _drawn(points, SURE)
        axes.apply_aspect()
        assert (points > (axes.get_xlim()[0], axes.get_ylim()[1])).all()
        assert (points < (axes.get_xlim()[1], axes.get_ylim()[0])).all()


def test_a_missing_joint_has_no_mark_no_bone_and_no_say_in_the_limits(keypoints_2d):
    confidence = np.where(np.arange(17) == NOSE, 0.0, 1.0)
    elsewhere = keypoints_2d.copy()
    elsewhere[NOSE] = (0.0, 0.0)
    axes = _drawn(elsewhere, confidence)
    np.testing.assert_array_equal(_marks(axes), np.delete(keypoints_2d, NOSE, axis=0))
    # The bones from the thorax and to the head.
    assert len(_lines(axes)) == 16 - 2
    assert axes.get_xlim() == _drawn(keypoints_2d, confidence).get_xlim()


def test_a_bone_is_as_strong_as_the_less_sure_of_its_joints(keypoints_2d):
    confidence = np.where(np.arange(17) == NOSE, 0.3, 1.0)
    axes = _drawn(keypoints_2d, confidence)
    ends = keypoints_2d[[THORAX, NOSE]]
    (bone,) = [line for line in axes.lines if np.array_equal(line.get_xydata(), ends)]
    assert bone.get_color()[3] == pytest.approx(pictures.confidence_opacity(0.3))


def test_a_view_in_which_nothing_was_seen_says_so(keypoints_2d):
    axes = _drawn(keypoints_2d, np.zeros(17))
    assert [text.get_text() for text in axes.texts] == [pictures.NOTHING_SEEN]
    assert len(axes.lines) == 0


JOINTS = skeletons.H36M_17.joints
BOTH = (pictures.FRONT, pictures.SIDE)


def _axes(width=4, height=3):
    return figure.Figure(figsize=(width, height)).add_axes((0, 0, 1, 1))


def _lifted(pose, direction):
    axes = _axes()
    pictures.draw_lifted(axes, pose, direction)
    return axes


def _joints(axes):
    return [line.get_xydata()[0] for line in axes.lines if len(line.get_xydata()) == 1]


def test_the_front_shows_x_and_y_and_the_side_z_and_y(pose):
    for direction, kept in ((pictures.FRONT, [0, 1]), (pictures.SIDE, [2, 1])):
        drawn = sorted(map(tuple, _joints(_lifted(pose, direction))))
        assert drawn == sorted(map(tuple, pose[:, kept]))


def test_down_is_down_and_a_meter_is_as_wide_as_high(pose):
    axes = _axes()
    pictures.set_limits(axes, pictures.extent([pose], aspect=4 / 3))
    axes.apply_aspect()
    right, down = axes.transData.transform([[1, 0], [0, 1]]) - axes.transData.transform((0, 0))
    np.testing.assert_allclose(right[0], -down[1])
    assert right[0] > 0
    # A panel of that aspect is filled.
    np.testing.assert_allclose(axes.get_position().size, (1, 1))


def test_nearer_bones_are_drawn_over_farther_ones(pose):
    # The right side is nearer to the camera, and the left nearer to who stands at its right.
    left, right = (mpl_colors.to_rgba(color) for color in (pictures.LEFT, pictures.RIGHT))
    for direction, top, bottom in zip(BOTH, (right, left), (left, right), strict=True):
        pose_across = pose.copy()
        if direction is pictures.SIDE:
            pose_across[:, 0] = pose[:, 2]
        bones = [
            line for line in _lifted(pose_across, direction).lines if len(line.get_xydata()) == 2
        ]
        assert bones[-1].get_color() == top
        assert bones[0].get_color() == bottom


def test_an_unknown_joint_of_the_reference_leaves_no_mark(pose):
    wrist = JOINTS.index("left_wrist")
    holed = pose.copy()
    holed[wrist] = np.nan
    axes = _axes()
    pictures.draw_reference(axes, holed, pictures.FRONT)
    whole = [line for line in axes.lines if np.isfinite(line.get_xydata()).all()]
    assert len(whole) == 16 - 1


def test_joints_are_drawn_at_their_pixels(keypoints_2d):
    np.testing.assert_array_equal(_marks(_drawn(keypoints_2d, SURE)), keypoints_2d)
