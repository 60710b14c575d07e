import av
import cv2
import pytest
from PIL import Image

from keras_mvlift.visualization import pose_movie
from tests.visualization import pose_clips

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


def test_a_film_of_one_frame_can_be_written(tmp_path):
    clip = pose_clips.clip(pose_clips.track(num_frames=1))
    for ending in ("mp4", "gif"):
        pose_movie.write(clip, tmp_path / f"film.{ending}", size=SIZE)
        assert (tmp_path / f"film.{ending}").stat().st_size > 0


@pytest.mark.parametrize(("ending", "asked"), [("mp4", 12), ("gif", 6)])
def test_images_are_asked_for_in_order(tmp_path, ending, asked):
    frames = []
    clip = pose_clips.clip(frame_rate=50.0)
    pose_movie.write(clip, tmp_path / f"film.{ending}", size=SIZE, images=frames.append)
    assert frames == [*range(0, 12, 12 // asked)]


def test_progress_is_given_the_frames_that_are_drawn(tmp_path):
    drawn, clip = [], pose_clips.clip(frame_rate=50.0)
    pose_movie.write(
        clip,
        tmp_path / "film.gif",
        size=SIZE,
        progress=lambda frames: drawn.extend(frames) or frames,
    )
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
