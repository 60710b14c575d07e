import json

import pytest
import tensorflow as tf

from keras_mvlift import inference, skeletons
from keras_mvlift.export import tflite
from tests import temporal_networks, tiny_studio
from tests.export import served_views

OUTPUTS = {"root_relative_pose", "root_position", "pose_camera"}


@pytest.fixture(scope="module")
def certain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "certain"
    lifter = served_views.saved(folder)
    return lifter, tflite.SingleFrames(inference.load_model(folder))


@pytest.fixture(scope="module")
def uncertain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "uncertain"
    lifter = served_views.saved(folder, uncertainty=True)
    return lifter, tflite.SingleFrames(inference.load_model(folder))


@pytest.mark.parametrize(
    ("name", "outputs"), [("certain", OUTPUTS), ("uncertain", OUTPUTS | {"joint_uncertainty"})]
)
def test_the_function_gives_what_the_model_gives(name, outputs, request):
    lifter, exported = request.getfixturevalue(name)
    given = served_views.inputs()
    expected = served_views.lifted(lifter, given)
    result = exported.lift_camera(**{key: tf.constant(value) for key, value in given.items()})
    assert set(result) == outputs
    result = {key: value.numpy() for key, value in result.items()}
    differences = served_views.differences(result, expected)
    assert max(differences.values()) < served_views.TOLERANCE / 10


def test_the_notes_say_what_goes_in_and_comes_out(certain, uncertain):
    notes = {name: json.loads(text) for name, text in certain[1].notes.items()}
    assert notes["joint_names"] == [*skeletons.H36M_17.joints]
    assert notes["parents"] == [*skeletons.H36M_17.parents]
    assert notes["intrinsics"] == tiny_studio.INTRINSICS.tolist()
    specs = certain[1].lift_camera.input_signature
    assert [*notes["inputs"]] == [spec.name for spec in specs]
    assert set(notes["outputs"]) == OUTPUTS
    assert "meters, camera frame" in notes["outputs"]["pose_camera"]
    assert "joint_uncertainty" in json.loads(uncertain[1].notes["outputs"])


def test_a_model_of_windows_is_refused(tmp_path):
    temporal_networks.save(tmp_path / "saved")
    model = inference.load_model(tmp_path / "saved")
    rule = r"`model` must lift single frames .* Received: a model of windows of 9 frames\."
    with pytest.raises(ValueError, match=rule):
        tflite.SingleFrames(model)
