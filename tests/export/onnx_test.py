import functools
import importlib
import json
import sys

import onnx as onnx_library
import onnxruntime
import pytest

from keras_mvlift import inference, skeletons
from keras_mvlift.export import onnx
from tests import tiny_studio
from tests.export import served_views

# The constants of the models are held in three ways; one of them is an input to tf2onnx.
MODELS = {
    "solved_root": {},
    "paper": {"recipe": "paper", "network_input": "screen"},
    "uncertainty": {"uncertainty": True},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module", params=MODELS)
def model(request, folder):
    """Lifter and a session of its file."""
    saved, path = folder / request.param, folder / f"{request.param}.onnx"
    lifter = served_views.saved(saved, **MODELS[request.param])
    onnx.write(inference.load_model(saved), path)
    return lifter, session(path)


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run(file, inputs):
    names = [output.name for output in file.get_outputs()]
    return dict(zip(names, file.run(None, inputs), strict=True))


@pytest.mark.parametrize("size", [1, 24])
def test_a_runtime_gives_what_the_keras_model_gives(model, size):
    lifter, file = model
    inputs = served_views.first(served_views.inputs(), size)
    differences = served_views.differences(run(file, inputs), served_views.lifted(lifter, inputs))
    assert max(differences.values()) < served_views.TOLERANCE


def test_inputs_are_those_of_the_notes_and_batches_of_any_size(model):
    _, file = model
    shapes = {value.name: value.shape for value in file.get_inputs()}
    assert shapes == {
        "keypoints_2d": ["batch", 17, 2],
        "confidence": ["batch", 17],
        "intrinsics": ["batch", 3, 3],
    }
    assert {value.shape[0] for value in file.get_outputs()} == {"batch"}
    notes = file.get_modelmeta().custom_metadata_map
    assert json.loads(notes["joint_names"]) == [*skeletons.H36M_17.joints]
    assert json.loads(notes["intrinsics"]) == tiny_studio.INTRINSICS.tolist()
    assert set(json.loads(notes["outputs"])) == {value.name for value in file.get_outputs()}


def test_where_a_joint_that_was_not_seen_lies_does_not_matter(model):
    served_views.assert_blind_to_places(functools.partial(run, model[1]))


def test_every_operator_is_onnxs_own_and_of_the_stated_version(model, folder):
    for path in folder.glob("*.onnx"):
        proto = onnx_library.load(str(path))
        assert {node.domain for node in proto.graph.node} == {""}
        assert ("", onnx.OPSET) in [(used.domain, used.version) for used in proto.opset_import]


def test_a_missing_library_is_one_sentence_with_its_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras_mvlift.export.onnx")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ValueError, match=r"by tf2onnx: pip install 'keras-mvlift\[export\]'"):
        importlib.import_module("keras_mvlift.export.onnx")
