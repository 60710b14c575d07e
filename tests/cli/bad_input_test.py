"""Bad input of every kind at the door of the commands: status 1, one line, the field's name."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from keras_mvlift.cli import main

KEYPOINTS = np.random.default_rng(0).uniform(300, 700, (3, 17, 2))
CAMERA = ["--intrinsics", "1100", "1120", "510", "490"]


ARRAYS = {
    "joint count": ({"keypoints_2d": KEYPOINTS[:, :16]}, "must have the 17 joints of h36m_17"),
    "joint set": ({"skeleton": None}, "`skeleton` must be said by --skeleton: h36m_17, coco_17"),
    "rank": ({"keypoints_2d": KEYPOINTS[0, 0]}, "`keypoints_2d` must have shape"),
    "words": ({"keypoints_2d": KEYPOINTS.astype(str)}, "`keypoints_2d` must be an array of num"),
    "infinity": ({"keypoints_2d": KEYPOINTS * np.inf}, "`keypoints_2d` must be finite"),
    "confidence": ({"confidence": np.full((3, 17), 2.0)}, "`confidence` must lie in [0, 1]"),
    "confidence nan": ({"confidence": np.full((3, 17), np.nan)}, "`confidence` must lie in"),
    "frame count": ({"confidence": np.ones((2, 17))}, "`confidence` must have shape [3, 17]"),
    "skeleton": ({"skeleton": "dog"}, "`skeleton` must be one of h36m_17"),
    "no frames": ({"keypoints_2d": KEYPOINTS[:0]}, "`frames` must span 1 to"),
    "no joints": ({"keypoints_2d": None}, "`keypoints_2d` must be an array of the archive"),
    "no rate": ({"frame_rate": None}, "`frame_rate` must be given"),
    "rate": ({"frame_rate": "fast"}, "`frame_rate` must be a number"),
    "image size": ({"image_size": [1, 2, 3]}, "`image_size` must be width and height"),
}
FILES = {
    "missing": ("gone.npz", None, "`input` must be a file or folder"),
    "empty": ("a.npz", b"", "`file` must be an .npz archive"),
    "cut": ("a.npz", b"PK\x03\x04\x14", "`file` must be an .npz archive"),
    "garbage": ("a.c3d", b"\x00\xff\x13", "`file` must be a C3D file"),
    "ending": ("a.txt", b"", "`input` must be a folder of detections or end in"),
    "no JSON": ("a.json", b'{"a": [1,', "`file` must be JSON"),
    "JSON of something": ("a.json", b"3", "`file` must be detections of"),
    "wrong types": ("a.json", b'[{"image_id": 3}]', "`[0]` must have an `image_id` and"),
    "table": ("a.csv", b"frame,joint,x,y\n0,nose,inf,2\n", "`keypoints_2d` must be finite"),
}
OPTIONS = {
    "fov 0": (["--fov", "0", "--image-size", "9", "9"], "`fov` must be above 0 and at most"),
    "fov 180": (["--fov", "180", "--image-size", "9", "9"], "`fov` must be above 0 and at most"),
    "fov nan": (["--fov", "nan", "--image-size", "9", "9"], "`fov` must be above 0 and at most"),
    "focal": (["--intrinsics", "0", "1", "1", "1"], "`intrinsics` must be [3, 3], pixels, with"),
    "camera nan": (["--intrinsics", "nan", "1", "1", "1"], "`intrinsics` must be [3, 3]"),
    "lens": ([*CAMERA, "--distortion", "nan"], "`distortion` must be OpenCV's"),
    "rate": ([*CAMERA, "--frame-rate", "nan"], "`frame_rate` must be above 0 and at most 1000"),
    "calibration": (["--calibration", "gone.toml"], "`calibration` must be a file that exists"),
}


def seen(folder, **changes):
    arrays = {"keypoints_2d": KEYPOINTS, "frame_rate": 50, "skeleton": "h36m_17"} | changes
    path = folder / "seen.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize("case", ARRAYS)
def test_bad_arrays_are_refused_by_name(case, model, tmp_path, refused):
    changes, says = ARRAYS[case]
    options = ["--model", model, "--output", tmp_path / "a.json", *CAMERA]
    refused(says, "lift", seen(tmp_path, **changes), *options)


@pytest.mark.parametrize("case", FILES)
def test_bad_files_are_refused_by_name(case, model, tmp_path, refused):
    name, content, says = FILES[case]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    refused(says, "lift", path, "--model", model, "--output", tmp_path / "out.json", *CAMERA)


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_options_are_refused_by_name(case, model, tmp_path, refused):
    options, says = OPTIONS[case]
    output = ["--model", model, "--output", tmp_path / "a.json"]
    refused(says, "lift", seen(tmp_path), *output, *options)


POSES = {
    "space": (lambda told: told.pop("space"), "must be poses as"),
    "rate": (lambda told: told.update(frame_rate="x"), "`frame_rate` must be a number"),
    "nobody": (lambda told: told.update(tracks=[]), "`tracks` must hold somebody"),
    "pose": (lambda told: told["tracks"][0].update(pose=[[[1, 2]]]), "`pose` must have shape"),
    "words": (lambda told: told["tracks"][0].update(pose="x"), "`pose` must be an array of num"),
    "notes": (lambda told: told.update(about=3), "`about` must be texts to JSON values"),
    "reference": (lambda told: told["tracks"][0].update(is_reference=2), "must be true or false"),
}


@pytest.fixture(scope="module")
def lifted(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lifted")
    output = folder / "lifted.json"
    arguments = [seen(folder), "--model", model, "--output", output, *CAMERA]
    assert main.main(["lift", *map(str, arguments)]) == 0
    return output.read_text()


@pytest.mark.parametrize("case", POSES)
def test_bad_poses_are_not_viewed_and_say_why(case, lifted, tmp_path, refused):
    damage, says = POSES[case]
    told = json.loads(lifted)
    damage(told)
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(told))
    refused(says, "view", path)


def test_a_damaged_model_is_neither_lifted_with_nor_exported(tmp_path, refused):
    (tmp_path / "saved_model.pb").write_bytes(b"junk")
    description = tmp_path / "assets.extra" / "keras_mvlift" / "model.json"
    description.parent.mkdir(parents=True)
    description.write_text("[]")
    says = "model.json: `file` must be a JSON object. Received: list."
    output = ["--output", tmp_path / "a.tflite"]
    refused(says, "export", tmp_path, "--format", "tflite", *output)
    refused("`output`", "lift", tmp_path, "--model", tmp_path, "--output", tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"hello {"])
def test_a_bad_config_is_not_rolled_out(content, tmp_path, refused):
    path = tmp_path / "models.config"
    path.write_bytes(content)
    refused(f"{path}: `", "rollout", path, "show")
    refused("`version` must be", "rollout", path, "start", 2**70)


def test_the_installed_command_gives_no_traceback(tmp_path):
    program = pathlib.Path(sys.executable).with_name("keras-mvlift")
    seen(tmp_path)
    arguments = [program, "lift", "seen.npz", "--model", tmp_path, "--output", "a.json"]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert f"{tmp_path}: must be a SavedModel" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_a_model_is_refused_before_tensorflow_is_imported(tmp_path):
    words = ["export", str(tmp_path), "--format", "onnx", "--output", str(tmp_path / "a.onnx")]
    script = f"import sys; from keras_mvlift.cli import main; print(main.main({words}), "
    script += "'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "1 False\n"
    assert "no saved_model.pb was found" in done.stderr
