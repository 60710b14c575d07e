"""Runs the Python that tutorials print, with the files and arrays that they name."""

import json
import pathlib
import re
import threading
import types
import urllib.request

import cv2
import numpy as np
import pytest
from PIL import Image

import keras_mvlift
from keras_mvlift import skeletons
from keras_mvlift.cli import main
from keras_mvlift.lifting import tracks_2d_files
from tests.lifting import people

DOCS = pathlib.Path(__file__).parents[1] / "docs"
INTRINSICS = people.WALK_CAMERA.intrinsics


def code(page, holding):
    """Returns the only block of Python of a page that holds some text."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    (found,) = (block for block in blocks if holding in block)
    return found


@pytest.fixture
def coco():
    """Names that blocks about joints take for granted, of a walk in pixels."""
    return {
        "keypoints_2d": people.walking(),
        "scores": np.ones(people.walking().shape[:2]),
        "confidence": np.ones(people.walking().shape[:2]),
        "intrinsics": INTRINSICS,
        "model": keras_mvlift.load_model("studio"),
    }


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def board(columns, rows, side=60):
    """Draws a chessboard of so many inner corners, with a white rim."""
    squares = np.indices((rows + 1, columns + 1)).sum(axis=0) % 2
    return np.pad(np.kron(squares, np.ones((side, side))), side, constant_values=1) * 255


def film_board(path, focal, size=(640, 480)):
    """Films a chessboard that is turned to and fro, by a camera without distortion."""
    picture, rng = board(9, 6).astype(np.uint8), np.random.default_rng(0)
    matrix = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    # Squares are one unit wide; the middle of the board is its origin.
    height, width = picture.shape
    unit = np.array([[1 / 60, 0, -width / 120], [0, 1 / 60, -height / 120], [0, 0, 1]])
    film = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, size)
    for _ in range(30):
        rotation, _ = cv2.Rodrigues(rng.uniform(-0.5, 0.5, 3))
        place = np.array([*rng.uniform(-2, 2, 2), rng.uniform(17, 24)])
        seen = matrix @ np.column_stack([rotation[:, :2], place]) @ unit
        frame = cv2.warpPerspective(picture, seen, size, borderValue=200, flags=cv2.INTER_AREA)
        film.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    film.release()


def test_a_filmed_board_tells_the_camera(here, capsys):
    film_board(here / "board.mp4", focal=700.0)
    exec(code("field_of_view.md", "calibrateCamera"), {})
    intrinsics, distortion = capsys.readouterr().out.splitlines()
    assert intrinsics.startswith("--intrinsics ")
    np.testing.assert_allclose([*map(float, intrinsics.split()[1:3])], 700, rtol=0.02)
    assert len(distortion.split(" #")[0].split()) == 6


def test_a_photograph_tells_its_field_of_view(here, capsys):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    Image.new("RGB", (4000, 3000)).save(here / "photo.jpg", exif=exif)
    exec(code("field_of_view.md", "FocalLengthIn35mmFilm"), {})
    # 26 mm of a diagonal of 43.3 mm, of which 4 : 3 has 34.6 mm across.
    assert capsys.readouterr().out == "--fov 67\n"


def test_joints_of_coco_are_converted(coco):
    exec(code("joints.md", "skeletons.convert"), coco)
    assert coco["joints"].shape == (*coco["keypoints_2d"].shape[:1], 17, 2)
    assert coco["lifted"].joint_names == skeletons.H36M_17.joints


def test_landmarks_of_mediapipe_are_kept_as_pixels(here):
    mark = types.SimpleNamespace(x=0.25, y=0.5, visibility=0.9)
    exec(code("joints.md", "mediapipe_33"), {"results": [[mark] * 33], "width": 640, "height": 480})
    tracks = tracks_2d_files.read(here / "walk.npz")
    assert tracks.joint_names == skeletons.MEDIAPIPE_33.joints
    assert (tracks.frame_rate, tracks.image_size) == (30.0, (640, 480))
    np.testing.assert_allclose(tracks.keypoints_2d[0, 0, 0], [160, 240])


def test_arrays_with_names_are_read(here, coco):
    written = code("joints.md", "joint_names=")
    exec(re.sub(r"\[\"nose\".*\]", "[*skeletons.COCO_17.joints]", written), {**coco, **globals()})
    tracks = tracks_2d_files.read(here / "walk.npz")
    assert tracks.joint_names == skeletons.COCO_17.joints
    np.testing.assert_allclose(tracks.keypoints_2d[0], people.walking(), atol=1e-3)


@pytest.mark.e2e
def test_a_server_of_ones_own_lifts_as_the_model_does(coco):
    pytest.importorskip("onnxruntime")
    assert main.main("export studio --format onnx --output lifter.onnx".split()) == 0
    started = code("service.md", "HTTPServer").replace("server.serve_forever()\n", "")
    names = {}
    exec(started.replace("8600", "0"), names)
    threading.Thread(target=names["server"].serve_forever, daemon=True).start()
    joints, confidence = skeletons.convert(coco["keypoints_2d"], coco["scores"], "coco_17")
    asked = {
        "keypoints_2d": joints.tolist(),
        "confidence": confidence.tolist(),
        "intrinsics": [INTRINSICS.tolist()] * len(joints),
    }
    address = "http://localhost:{}".format(names["server"].server_address[1])
    request = urllib.request.Request(address, json.dumps(asked).encode())
    with urllib.request.urlopen(request) as answer:
        pose = np.array(json.load(answer)["pose_camera"])
    names["server"].shutdown()
    expected = coco["model"].lift(joints, confidence, camera=INTRINSICS).pose_camera
    np.testing.assert_allclose(pose, expected, atol=1e-4)
