import importlib
import pathlib
import re

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from keras_mvlift import inference, skeletons, trained_models
from keras_mvlift.cli import main
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.export import onnx, tflite
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import pose_error
from keras_mvlift.studio import synthetic
from tests import bodies

PACKAGE = pathlib.Path(inference.__file__).parent
MEGABYTE = 1e6


@pytest.fixture(scope="module")
def model():
    return inference.load_model("studio")


@pytest.fixture(scope="module")
def clip():
    """People whom no training has seen, who sit, walk and wave."""
    studio = synthetic.Studio(
        num_subjects=1,
        actions=("walking", "waving", "sitting"),
        num_clips=3,
        num_frames=30,
        seed=77,
    )
    return [studio.read(name) for name in studio.clips()]


def errors(model, clips, error):
    found = []
    for clip in clips:
        for view in range(clip.num_views):
            camera = [np.asarray(field)[view] for field in clip.camera]
            lifted = model.lift(clip.keypoints_2d[view], clip.confidence[view], camera=camera[0])
            true = clip.pose_world - clip.pose_world[:, :1]
            found.append(error((true @ camera[1].T).astype(np.float32), lifted.root_relative_pose))
    return 1000.0 * np.mean(found)


def test_it_is_loaded_by_its_name_whatever_folder_of_that_name_is_here(
    model, tmp_path, monkeypatch
):
    assert "studio" in trained_models.shipped_names()
    assert model.path == trained_models.shipped_folder("studio")
    assert model.joint_names == skeletons.H36M_17.joints
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studio").mkdir()
    (tmp_path / "studio" / "saved_model.pb").write_bytes(b"")
    assert inference.load_model("studio").path == model.path
    for folder in ("./studio", pathlib.Path("studio")):
        with pytest.raises(FileNotFoundError, match=r"studio/.*model\.json"):
            inference.load_model(folder)


def test_an_unknown_name_is_told_the_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"studoi: .* comes with the package: studio\."):
        inference.load_model("studoi")
    arguments = ["lift", f"{pose2sim.demo_root()}/pose/cam1_json", "--skeleton", "body_25b"]
    camera = ["--frame-rate", "60", "--fov", "40", "--image-size", "1088", "1920"]
    output = ["--output", str(tmp_path / "poses.json")]
    assert main.main([*arguments, *camera, *output, "--model", "studoi"]) != 0
    assert "Received: studoi; did you mean studio?" in capsys.readouterr().err
    assert main.main([*arguments, *camera, *output, "--model", "studio"]) == 0
    assert "100 frames, 200 poses" in capsys.readouterr().out


def test_people_lean_no_more_the_more_a_camera_looks_down(model, clip):
    walking = clip[0].pose_world[::3]
    intrinsics = np.array([[870.0, 0, 500], [0, 870, 500], [0, 0, 1]])
    leans, misses = {}, {}
    for pitch in (5, 24, 36, 46):
        found = []
        for azimuth in np.radians(range(17, 377, 45)):
            rise = np.radians(pitch)
            ahead = np.array([np.cos(azimuth), np.sin(azimuth), 0])
            target = walking[:, 0].mean(axis=0)
            center = target + 4.5 * (np.cos(rise) * ahead + np.sin(rise) * np.eye(3)[2])
            camera = cameras.look_at(intrinsics, center, target, np.eye(3)[2])
            points = bodies.joints(walking, skeletons.COCO_17)
            seen = cameras.project(cameras.camera_from_world(points, camera), intrinsics)
            lifted = model.lift(seen, camera=intrinsics, skeleton="coco_17").root_relative_pose
            pose, true = lifted @ camera.rotation, walking - walking[:, :1]
            # Away from the camera, of the trunk.
            angles = [np.arctan2(-each[:, 8] @ ahead, each[:, 8, 2]) for each in (pose, true)]
            found.append((np.median(angles[0] - angles[1]), np.linalg.norm(pose - true, axis=-1)))
        leans[pitch] = np.degrees(np.mean([lean for lean, _ in found]))
        misses[pitch] = 1000 * np.mean([miss for _, miss in found])
    assert max(leans.values()) - min(leans.values()) < 4.0, leans
    assert max(misses.values()) < 90.0, misses


def test_it_knows_people_it_never_saw(model, clip):
    class MeanPose:
        def lift(self, keypoints_2d, confidence, camera):
            pose = np.broadcast_to(self.pose, (*confidence.shape, 3))
            return inference.LiftedPose(skeletons.H36M_17.joints, pose.astype(np.float32))

    mean = MeanPose()
    poses = [
        model.lift(each.keypoints_2d[0], each.confidence[0], camera=each.camera.intrinsics[0])
        for each in clip
    ]
    mean.pose = np.mean([pose.root_relative_pose.mean(axis=0) for pose in poses], axis=0)
    assert errors(model, clip, pose_error.mpjpe) < 110.0
    assert errors(model, clip, pose_error.p_mpjpe) < 75.0
    assert errors(mean, clip, pose_error.mpjpe) > 180.0


def test_joints_that_are_missing_do_not_break_it(model, clip):
    lost = np.isin(skeletons.H36M_17.joints, ("left_knee", "left_ankle", "right_ankle", "nose"))
    for each in clip:
        each.confidence[..., lost] = 0.0
    assert errors(model, clip, pose_error.p_mpjpe) < 110.0


def test_it_is_small_enough_for_a_package():
    size = sum(path.stat().st_size for path in (PACKAGE / "models").rglob("*"))
    assert size < 10 * MEGABYTE


def test_the_card_names_a_command_that_is_there_and_says_what_matters():
    card = (trained_models.shipped_folder("studio") / trained_models.MODEL_CARD).read_text()
    commands = re.findall(r"python -m ([\w.]+) --motions", card)
    assert len(commands) == 2
    assert all(callable(importlib.import_module(command).main) for command in commands)
    for word in ("No 3D label", "CMU", "seed", "MPJPE", "fails", "license"):
        assert word.lower() in card.lower(), word


# The other ones of TFLite are those of less rounding.
@pytest.mark.parametrize("form", ["onnx", "int8"])
@pytest.mark.parametrize("name", trained_models.shipped_names())
def test_every_one_is_exported_for_other_runtimes_and_lifts_the_same(clip, tmp_path, name, form):
    model, path, view = inference.load_model(name), tmp_path / name, 0
    each = clip[0]
    inputs = {
        "keypoints_2d": each.keypoints_2d[view].astype(np.float32),
        "confidence": each.confidence[view].astype(np.float32),
        "intrinsics": np.tile(each.camera.intrinsics[view], (30, 1, 1)).astype(np.float32),
    }
    if form == "onnx":
        onnx.write(model, path)
        session = onnxruntime.InferenceSession(str(path))
        names = [output.name for output in session.get_outputs()]
        outputs = dict(zip(names, session.run(None, inputs), strict=True))
    else:
        tflite.write(model, path, form)
        runner = tf.lite.Interpreter(str(path)).get_signature_runner(tflite.SIGNATURE)
        outputs = runner(**inputs)
    expected = model.lift(*(inputs[name] for name in ("keypoints_2d", "confidence", "intrinsics")))
    off = np.linalg.norm(outputs["pose_camera"] - expected.pose_camera, axis=-1)
    assert off.max() < {"int8": 0.5, "onnx": 1e-4}[form]
