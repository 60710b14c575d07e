"""What can be said of TensorFlow Serving where its server cannot be had."""

import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tests import temporal_networks, tiny_studio
from tests.export import served_views
from tests.serving import c_runtime

LIBRARY = pathlib.Path(tf.__file__).parent / "libtensorflow_cc.so.2"


@pytest.fixture(scope="module", params=["frames", "windows"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "1"
    if request.param == "frames":
        tiny_studio.save(tiny_studio.trained(), folder)
    else:
        temporal_networks.save(folder, is_causal=False)
    return folder


@pytest.fixture(scope="module")
def graph(folder):
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0]


@pytest.fixture(scope="module")
def bare(folder, graph, tmp_path_factory):
    """What a process without Python's TensorFlow answered to the model's warm-up requests."""
    root = tmp_path_factory.mktemp("bare")
    calls = []
    for request in served_views.requests_in(folder):
        signature = graph.signature_def[request.model_spec.signature_name]
        inputs = {
            signature.inputs[name].name: tf.make_ndarray(tensor)
            for name, tensor in request.inputs.items()
        }
        outputs = [tensor.name for tensor in signature.outputs.values()]
        calls.append((request.model_spec.signature_name, inputs, outputs))
    (root / "calls").write_bytes(pickle.dumps(calls))
    paths = [str(LIBRARY), str(folder), str(root / "calls"), str(root / "answers")]
    program = [sys.executable, "-I", c_runtime.__file__, *paths]
    done = subprocess.run(program, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    return pickle.loads((root / "answers").read_bytes())


def test_the_bare_runtime_answers_every_signature_as_tensorflow_does(folder, graph, bare):
    model = tf.saved_model.load(str(folder))
    answered = {name for name, _ in bare["results"]}
    assert answered == {name for name in graph.signature_def if not name.startswith("__")}
    requests = served_views.requests_in(folder)
    for request, (name, results) in zip(requests, bare["results"], strict=True):
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        expected = model.signatures[name](
            **{key: tf.constant(value) for key, value in inputs.items()}
        )
        for key, value in expected.items():
            given = results[graph.signature_def[name].outputs[key].name]
            assert np.abs(given).max() > 1e-3
            np.testing.assert_allclose(given, value, atol=1e-4)


def test_the_bare_process_had_no_python_tensorflow(bare):
    assert not {"tensorflow", "keras", "keras_mvlift", "tensorflow_addons"} & bare["modules"]


def test_every_operation_is_one_of_the_bare_runtimes(graph, bare):
    known = {each.name for each in op_def_pb2.OpList.FromString(bare["operations"]).op}
    functions = {function.signature.name for function in graph.graph_def.library.function}
    nodes = [*graph.graph_def.node]
    nodes += [node for each in graph.graph_def.library.function for node in each.node_def]
    assert len(nodes) > 100
    assert {node.op for node in nodes} - functions - known == set()
