import dataclasses

import av
import cv2
import numpy as np
import pytest
from matplotlib import colors as mpl_colors
from PIL import Image

from keras_mvlift.visualization import pictures, pose_movie
from tests.visualization import pose_clips, sample_pages

SIZE = (160, 96)


def test_a_film_has_every_frame_at_the_clips_rate(tmp_path):
    clip = pose_clips.clip(frame_rate=29.97)
    pose_movie.write(clip, tmp_path / "film.mp4", size=SIZE)
    # An independent reader.
    film = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == clip.num_frames
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(29.97, abs=0.01)
    assert film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FRAME_HEIGHT) == SIZE
    with av.open(str(tmp_path / "film.mp4")) as opened:
        stream = opened.streams.video[0]
        # What browsers and phones play.
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        pictures = [frame.to_ndarray(format="rgb24") for frame in opened.decode(stream)]
    assert len(pictures) == clip.num_frames
    assert (pictures[0] != pictures[-1]).any()
    assert pictures[0].mean() > 200


def test_a_gif_lasts_as_long_as_the_clip_and_loops(tmp_path):
    clip = pose_clips.clip(pose_clips.track(num_frames=60), frame_rate=60.0)
    pose_movie.write(clip, tmp_path / "film.gif", size=SIZE)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.size == SIZE
        assert film.info["loop"] == 0
        durations = []
        for index in range(film.n_frames):
            film.seek(index)
            durations.append(film.info["duration"])
    assert sum(durations) == 1000
    assert len(durations) / 1.0 <= 30


@pytest.mark.parametrize(("ending", "asked"), [("mp4", 12), ("gif", 6)])
def test_images_are_asked_for_in_order(tmp_path, ending, asked):
    frames = []
    clip = pose_clips.clip(frame_rate=50.0)
    pose_movie.write(clip, tmp_path / f"film.{ending}", size=SIZE, images=frames.append)
    assert frames == [*range(0, 12, 12 // asked)]


def test_progress_is_given_the_frames_that_are_drawn(tmp_path):
    drawn, clip = [], pose_clips.clip(frame_rate=50.0)
    options = {"size": SIZE, "progress": lambda frames: drawn.extend(frames) or frames}
    pose_movie.write(clip, tmp_path / "film.gif", **options)
    assert drawn == [*range(0, 12, 2)]


@pytest.mark.parametrize(
    ("name", "size", "rule"),
    [
        ("film.avi", SIZE, r"`path` must end in .mp4 or .gif. Received: film.avi"),
        ("film.mp4", (161, 96), r"`size` must be even numbers of at least 64"),
        ("film.gif", (160, 2), r"`size` must be even numbers of at least 64"),
    ],
)
def test_what_cannot_be_filmed_is_refused(tmp_path, name, size, rule):
    with pytest.raises(ValueError, match=rule):
        pose_movie.write(pose_clips.clip(), tmp_path / name, size=size)


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_a_film_that_fails_leaves_nothing_and_the_old_one(tmp_path, monkeypatch, ending):
    old = tmp_path / f"film.{ending}"
    old.write_text("old")
    draw = pose_movie.draw_frames

    def fail(*arguments):
        for index, picture in enumerate(draw(*arguments)):
            # By then the encoder has written its first frames.
            if index == 90:
                raise OSError("disk full")
            yield picture

    monkeypatch.setattr(pose_movie, "draw_frames", fail)
    clip = pose_clips.clip(pose_clips.track(num_frames=100), frame_rate=10.0)
    with pytest.raises(OSError, match="disk full"):
        pose_movie.write(clip, old, size=SIZE)
    assert [path.name for path in tmp_path.iterdir()] == [old.name]
    assert old.read_text() == "old"


PICTURE = (480, 272)
OTHER = pose_clips.track("person 2", shift=(1.0, 0.0, 0.0))


def draw(clip, frames=(0,), title="", images=None):
    return list(pose_movie.draw_frames(clip, frames, PICTURE, title, images))


def places(picture, color):
    """Columns of the picture that hold a color, nearly."""
    wanted = 255 * np.array(mpl_colors.to_rgb(color))
    return np.unique(np.nonzero(np.abs(picture - wanted).max(axis=-1) < 40)[1])


def sure(track):
    return dataclasses.replace(track, confidence=None, keypoint_confidence=None)


def test_pictures_have_the_size_asked_for_and_frames_their_order():
    first, last, again = draw(pose_clips.clip(), (0, 11, 0))
    assert (first.shape, first.dtype) == ((PICTURE[1], PICTURE[0], 3), np.uint8)
    assert (first != last).any()
    np.testing.assert_array_equal(first, again)


def test_both_the_input_and_the_skeleton_tell_the_sides():
    (picture,) = draw(pose_clips.clip(sure(pose_clips.track())))
    for color in (pictures.LEFT, pictures.RIGHT):
        columns = places(picture, color)
        assert columns.min() < 0.4 * PICTURE[0] < 0.5 * PICTURE[0] < columns.max()
    # The person's left is on the right where the face is seen.
    assert places(picture, pictures.LEFT).max() > places(picture, pictures.RIGHT).max()


def test_an_absent_person_is_not_drawn():
    absent = sure(pose_clips.track())
    absent.pose[3] = absent.keypoints_2d[3] = np.nan
    there, gone = draw(pose_clips.clip(absent), (2, 3))
    assert len(places(there, pictures.LEFT))
    assert not len(places(gone, pictures.LEFT))


def test_a_bone_to_an_absent_joint_is_not_drawn():
    absent = sure(pose_clips.track())
    absent.pose[3, 13] = absent.keypoints_2d[3, 13] = np.nan
    there, gone = draw(pose_clips.clip(absent), (2, 3))
    assert places(gone, pictures.LEFT).max() < places(there, pictures.LEFT).max() - 5
    # Nor do the bones behind it take each other's colors; the view turned by a column meanwhile.
    for end in (np.min, np.max):
        found = [end(places(picture, pictures.RIGHT)) for picture in (there, gone)]
        np.testing.assert_allclose(*found, atol=2)


def test_the_view_swings_once_around_people_who_stand_still():
    still = sure(pose_clips.track())
    still.pose[:] = still.pose[0]
    clip = pose_clips.clip(still)
    views = pose_movie._views(clip)
    turned = np.degrees(np.arctan2(views[:, 1, 0], views[:, 0, 0]))
    assert np.ptp(turned) == pytest.approx(50)
    np.testing.assert_allclose(turned[[0, 6]], turned.mean(), atol=1e-9)
    seen = pose_movie._projected(clip, views)[0]
    assert np.ptp(seen[:, :, 0], axis=0).max() > 0.05
    # In a film that is repeated the last frame leads to the first.
    assert np.abs(turned[-1] - turned[0]) < 15


@pytest.mark.parametrize("space", ["root", "camera", "world"])
def test_the_floor_is_below_the_feet(space):
    clip = pose_clips.clip() if space == "world" else sample_pages.rooted()
    if space == "camera":
        clip = sample_pages.from_camera(30)
    clip = dataclasses.replace(clip, tracks=(sure(clip.tracks[0]),))
    (picture,) = draw(clip)
    rows, _ = np.nonzero(_floor(picture))
    feet = np.nonzero(np.abs(picture - _RIGHT).max(axis=-1)[:, PICTURE[0] // 2 :] < 40)[0].max()
    assert len(rows) > 100
    assert rows.max() > feet


def test_the_axes_of_the_clip_are_in_the_corner():
    def corner(space):
        (picture,) = draw(pose_clips.clip(sure(pose_clips.track()), space=space))
        # The input ends at 0.42 of the width.
        part = picture[int(0.75 * PICTURE[1]) : int(0.9 * PICTURE[1]), int(0.43 * PICTURE[0]) :][
            :, :34
        ]
        faint = 255 * np.array(mpl_colors.to_rgb(pictures.FAINT_TEXT))
        return np.abs(part - faint).max(axis=-1) < 40

    world, camera = corner("world"), corner("camera")
    # z goes up in a world, and y down from a camera.
    assert world.any(axis=1).argmax() < camera.any(axis=1).argmax()


def test_each_frame_of_a_gif_has_a_palette_for_the_video_beside(tmp_path):
    rng = np.random.default_rng(0)
    colors = [rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) for _ in range(2)]
    clip = pose_clips.clip(pose_clips.track(num_frames=2), frame_rate=10.0, image_size=(16, 12))
    pose_movie.write(clip, tmp_path / "film.gif", PICTURE, images=colors.__getitem__)
    wanted = draw(clip, (0, 1), images=colors.__getitem__)
    with Image.open(tmp_path / "film.gif") as film:
        for index, picture in enumerate(wanted):
            film.seek(index)
            found = np.asarray(film.convert("RGB"), float)
            # But for the smoothed edges of the lines.
            assert np.median(np.abs(found - picture)) == 0
            assert (np.abs(found - picture).max(axis=-1) < 12).mean() > 0.97


_RIGHT = 255 * np.array(mpl_colors.to_rgb(pictures.RIGHT))


def _floor(picture):
    """Pixels of the color of the floor's lines, right of the input and its frame."""
    grid = 255 * np.array(mpl_colors.to_rgb(pictures.GRID))
    return (np.abs(picture - grid).max(axis=-1) < 3)[:, PICTURE[0] // 2 :]


def test_a_doubtful_person_is_paler():
    doubtful = pose_clips.track(confidence=np.zeros((12, 17)), keypoint_confidence=None)
    (picture,) = draw(pose_clips.clip(doubtful))
    assert places(picture, pictures.LEFT).max() < 0.5 * PICTURE[0]


def test_people_around_their_pelvises_stand_side_by_side():
    people = pose_clips.clip(sure(pose_clips.track()), sure(OTHER), space="camera")
    drawn = [draw(dataclasses.replace(people, space=space))[0] for space in ("camera", "root")]
    right = [[c[c > 0.5 * PICTURE[0]].mean() for c in _of_both(picture)] for picture in drawn]
    assert right[1][1] - right[1][0] > right[0][1] - right[0][0] > 0


def _of_both(picture):
    return places(picture, pictures.LEFT), places(picture, pictures.RIGHT)


def test_the_image_lies_below_the_input_in_its_place():
    clip = pose_clips.clip(image_size=(640, 480))
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = (0, 200, 0)
    asked = []

    def images(frame):
        asked.append(frame)
        return picture if frame else None

    without, shown = draw(clip, (0, 3), images=images)
    assert asked == [0, 3]
    plain, _ = draw(clip, (0, 3))
    np.testing.assert_array_equal(without, plain)
    # The quarter that is green is the upper left one, and the skeleton is still to be seen on it.
    down, across = np.nonzero(np.abs(shown - np.array([0.0, 200, 0])).max(axis=-1) < 12)
    black_down, black_across = np.nonzero(shown.max(axis=-1) < 12)
    assert down.max() < black_down.max() - 30
    assert across.max() < black_across.max() - 30
    assert down.min() <= black_down.min() + 1
    blue = places(shown, pictures.LEFT)
    assert blue.min() < PICTURE[0] * 0.42
    # The skeletons beside it are as they were.
    right = slice(int(PICTURE[0] * 0.42), None)
    _, beside = draw(clip, (0, 3))
    np.testing.assert_array_equal(shown[:, right], beside[:, right])
