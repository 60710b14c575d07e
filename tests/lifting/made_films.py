"""Writes small real films: drawn ones, and ones of photographs of people that packages ship."""

import pathlib
from fractions import Fraction

import av
import cv2
import numpy as np
from matplotlib import cbook

from keras_mvlift.datasets.rigs import pose2sim

WIDTH, HEIGHT = 96, 64
CODECS = {".webm": "libvpx", ".avi": "mpeg4"}
# Where the matrix of a film's track header is one that turns nothing.
UPRIGHT = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
TURNED = {
    90: [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30],
    180: [-(1 << 16), 0, 0, 0, -(1 << 16), 0, 0, 0, 1 << 30],
    270: [0, -(1 << 16), 0, 1 << 16, 0, 0, 0, 0, 1 << 30],
}


def drawn(num_frames=6):
    """Gray frames, each a little lighter, with a red block at the left of the top."""
    pictures = np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    pictures += (40 + 20 * np.arange(num_frames, dtype=np.uint8))[:, None, None, None]
    pictures[:, :16, :24] = (230, 20, 20)
    return pictures


def write(path, pictures=None, rate=25, ticks=None, pixel=1):
    """Writes a film; `ticks` are its frames' times in hundredths of seconds, `pixel` its width."""
    pictures = drawn() if pictures is None else pictures
    codec = CODECS.get(pathlib.Path(path).suffix, "libx264")
    with av.open(str(path), "w", options={"movflags": "faststart"}) as film:
        stream = film.add_stream(codec, rate=rate)
        stream.width, stream.height = pictures.shape[2], pictures.shape[1]
        stream.pix_fmt = "yuv420p"
        stream.sample_aspect_ratio = Fraction(pixel)
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 100)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[index], Fraction(1, 100)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def write_sound(path, has_cover=False):
    """Writes a file that holds nothing to see, or a song's cover alone."""
    with av.open(str(path), "w") as film:
        if has_cover:
            cover = film.add_stream("png")
            cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "rgb24"
            cover.disposition = av.stream.Disposition.attached_pic
        stream = film.add_stream("aac", rate=44100)
        sound = np.zeros((1, 4096), np.float32)
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
        frame.rate = 44100
        if has_cover:
            picture = av.VideoFrame.from_ndarray(drawn(1)[0], format="rgb24")
            film.mux([*cover.encode(picture), *cover.encode(None)])
        film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def turn(path, degrees):
    """Makes a film say that it is to be seen turned, as a phone held otherwise does."""
    data = path.read_bytes()
    at = data.index(UPRIGHT, data.index(b"tkhd"))
    matrix = np.array(TURNED[degrees], ">i4").tobytes()
    path.write_bytes(data[:at] + matrix + data[at + len(matrix) :])
    return path


def portrait():
    """A woman who faces the camera, seen down to her shoulders; RGB."""
    return _read(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


def full_length():
    """Somebody seen from head to feet; RGB."""
    folder = pathlib.Path(pose2sim.demo_root(), "calibration", "intrinsics", "int_cam3_img")
    return cv2.resize(_read(folder / "cam03_03_int.jpg"), (272, 480), interpolation=cv2.INTER_AREA)


def _read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
