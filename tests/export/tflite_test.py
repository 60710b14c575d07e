import functools
import json
import zipfile

import pytest
import tensorflow as tf

from keras_mvlift import inference, skeletons
from keras_mvlift.export import tflite
from tests import temporal_networks, tiny_studio
from tests.export import served_views

# Meters, at a root 5 m away. Weights of half precision are good to a part in 2000, those of 8 bits
# to one in 250.
TOLERANCES = {"float32": served_views.TOLERANCE, "float16": 2e-3, "int8": 0.04}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def lifter(folder):
    return served_views.saved(folder / "saved")


@pytest.fixture(scope="module", params=tflite.WEIGHTS)
def file(request, folder, lifter):
    """Kind of weights and path."""
    path = folder / f"{request.param}.tflite"
    tflite.write(inference.load_model(folder / "saved"), path, request.param)
    return request.param, path


def run(path, inputs):
    interpreter = tf.lite.Interpreter(str(path))
    return interpreter.get_signature_runner(tflite.SIGNATURE)(**inputs)


@pytest.mark.parametrize("size", [1, 24])
def test_an_interpreter_gives_what_the_keras_model_gives(file, lifter, size):
    weights, path = file
    inputs = served_views.first(served_views.inputs(), size)
    differences = served_views.differences(run(path, inputs), served_views.lifted(lifter, inputs))
    assert max(differences.values()) < TOLERANCES[weights]


def test_one_interpreter_takes_batches_of_any_size(file):
    interpreter = tf.lite.Interpreter(str(file[1]))
    runner = interpreter.get_signature_runner(tflite.SIGNATURE)
    inputs = served_views.inputs()
    for size in (24, 3, 7):
        result = runner(**served_views.first(inputs, size))
        assert result["pose_camera"].shape == (size, 17, 3)


def test_smaller_weights_make_smaller_files(file, folder, lifter):
    weights, path = file
    num_bytes = {"float32": 4, "float16": 2, "int8": 1}[weights]
    variables = (*lifter.lifting_network.weights, *lifter.root_network.weights)
    kernels = sum(value.numpy().size for value in variables if "kernel" in value.name)
    # What is left is the graph, the biases and the notes.
    assert 0 < path.stat().st_size - num_bytes * kernels < 35_000


def test_the_file_is_an_archive_of_the_notes(file):
    with zipfile.ZipFile(file[1]) as archive:
        notes = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    assert notes["joint_names.json"] == [*skeletons.H36M_17.joints]
    assert notes["intrinsics.json"] == tiny_studio.INTRINSICS.tolist()
    assert "meters" in notes["outputs.json"]["root_position"]


def test_where_a_joint_that_was_not_seen_lies_does_not_matter(file):
    served_views.assert_blind_to_places(functools.partial(run, file[1]))


def test_only_operations_that_every_runtime_has_are_used(file):
    interpreter = tf.lite.Interpreter(str(file[1]))
    names = [operation["op_name"] for operation in interpreter._get_ops_details()]
    assert names
    assert not [name for name in names if name == "CUSTOM" or name.startswith("Flex")]


def test_weights_of_another_kind_are_refused_before_the_model_is_read():
    with pytest.raises(ValueError, match="`weights` must be one of float32, float16, int8"):
        tflite.write(None, "lifter.tflite", "int4")


OUTPUTS = {"root_relative_pose", "root_position", "pose_camera"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Lifter and function, without and with uncertainty."""
    folder, made = tmp_path_factory.mktemp("models"), []
    for uncertainty in (False, True):
        lifter = served_views.saved(folder / str(uncertainty), uncertainty=uncertainty)
        model = inference.load_model(folder / str(uncertainty))
        made.append((lifter, tflite.SingleFrames(model)))
    return made


@pytest.mark.parametrize(("index", "outputs"), [(0, OUTPUTS), (1, OUTPUTS | {"joint_uncertainty"})])
def test_the_function_gives_what_the_model_gives(index, outputs, exported):
    lifter, function = exported[index]
    given = served_views.inputs()
    expected = served_views.lifted(lifter, given)
    result = function.lift_camera(**{key: tf.constant(value) for key, value in given.items()})
    assert set(result) == outputs
    result = {key: value.numpy() for key, value in result.items()}
    differences = served_views.differences(result, expected)
    assert max(differences.values()) < served_views.TOLERANCE / 10


def test_the_notes_say_what_goes_in_and_comes_out(exported):
    certain, uncertain = exported
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
