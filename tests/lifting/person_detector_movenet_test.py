import json

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import person_detector

pytest.importorskip("tensorflow", reason="MoveNet's graph is run by TensorFlow.")

NUM_PEOPLE, NUM_VALUES = 6, 56
COUNT = NUM_PEOPLE * NUM_VALUES
T, FLOAT = {"type": "DT_FLOAT"}, "float32"
STRIDES = {"list": {"i": ["1", "1", "1", "1"]}}
FUSED = {"list": {"s": ["Qmlhc0FkZA==", "UmVsdTY="]}}  # BiasAdd, Relu6
SHAPES = {"filter": (1, 1, 3, COUNT), "bias": (COUNT,), "each": (1, 1, COUNT, 1)}
SHAPES |= {"more": (COUNT,), "axes": (2,), "shape": (3,)}


def people():
    """Numbers of two people and four nobodies, `[6, 56]`: y, x, score of joints, box and score."""
    found = np.zeros((NUM_PEOPLE, NUM_VALUES))
    found[:2, :51] = np.random.default_rng(0).uniform(0.1, 0.9, (2, 51))
    found[:, 55] = (0.9, 0.5, 0.1, 0.0, 0.0, 0.0)
    return found


def weights(values):
    """The weights' bytes, and what is told of each."""
    data, told = b"", []
    for name, shape in SHAPES.items():
        dtype = "int32" if name in ("axes", "shape") else FLOAT
        entry = {"name": name, "shape": list(shape), "dtype": dtype}
        raw = np.asarray(values[name], dtype)
        if name in ("filter", "more"):
            entry["quantization"] = {"dtype": "float16", "original_dtype": FLOAT}
            raw = raw.astype(np.float16)
        elif name == "each":
            entry["quantization"] = {"dtype": "uint8", "scale": 0.25, "min": 0.0}
            raw = np.asarray(values[name] / 0.25, np.uint8)
        data += raw.tobytes()
        told.append(entry)
    return data, told


def node(name, op, *inputs, **attributes):
    return {"name": name, "op": op, "input": [*inputs], "attr": attributes}


def nodes():
    """The graph: a cast, two joined convolutions, the greatest of each channel."""
    convolution = {"T": T, "strides": STRIDES, "padding": {"s": "U0FNRQ=="}, "fused_ops": FUSED}
    integer = {"type": "DT_INT32"}
    return [
        *({"name": name, "op": "Const"} for name in SHAPES),
        node("input", "Placeholder", dtype=integer),
        node("seen", "Cast", "input", SrcT=integer, DstT=T),
        node("first", "_FusedConv2D", "seen", "filter", "bias", num_args={"i": "1"}, **convolution),
        node("second", "FusedDepthwiseConv2dNative", "first", "each", "more", **convolution),
        node("most", "Max", "second", "axes", T=T),
        node("people", "Reshape", "most", "shape", T=T),
    ]


def write(folder, **changes):
    """Writes a graph of two joined convolutions that sees the same people in each picture."""
    values = {
        "filter": np.zeros(SHAPES["filter"]),
        "bias": np.full(COUNT, 2.0),
        "each": np.full(SHAPES["each"], 0.5),
        # Relu6 of the first makes 2 of it, half of which the second takes.
        "more": people().ravel() - 1,
        "axes": [1, 2],
        "shape": [1, NUM_PEOPLE, NUM_VALUES],
    } | changes.pop("values", {})
    data, told = weights(values)
    size = [{"size": str(each)} for each in (1, NUM_PEOPLE, NUM_VALUES)]
    content = {
        "signature": {
            "inputs": {"input": {"name": "input:0"}},
            "outputs": {"people": {"name": "people", "tensorShape": {"dim": size}}},
        },
        "modelTopology": {"node": nodes()},
        "weightsManifest": [{"paths": ["people.bin"], "weights": told}],
    } | changes
    (folder / "people.bin").write_bytes(data)
    (folder / "model.json").write_text(json.dumps(content))
    return folder / "model.json"


@pytest.mark.parametrize("size", [(480, 272), (64, 256), (1000, 1000)])
def test_people_are_where_the_graph_has_them_in_pixels_of_the_picture(tmp_path, size):
    found = person_detector.MoveNet(write(tmp_path)).detect(np.zeros((*size, 3), np.uint8))
    assert found.shape == (2, 17, 3)
    joints = people()[:2, :51].reshape(2, 17, 3)
    np.testing.assert_allclose(found[..., 2], joints[..., 2], atol=2e-3)
    # The longer side is shown in 256 pixels, both in multiples of 32.
    scale = max(size) / 256
    shown = [round(each / scale) for each in size]
    whole = [-(-each // 32) * 32 for each in shown]
    expected = joints[..., :2] * whole * np.divide(size, shown)
    np.testing.assert_allclose(found[..., 1::-1], expected, rtol=3e-3)


def test_what_is_seen_comes_out_of_convolutions_that_were_joined(tmp_path):
    bright = np.zeros(SHAPES["filter"])
    # The first joint's score grows with red, and no more than to 6 before it is halved.
    bright[0, 0, 0, 2] = 0.01
    network = person_detector.MoveNet(write(tmp_path, values={"filter": bright}))
    dark, light = (np.full((256, 256, 3), value, np.uint8) for value in (0, 100))
    grown = network.detect(light)[0, 0, 2] - network.detect(dark)[0, 0, 2]
    assert grown == pytest.approx(0.5, abs=2e-3)
    most = network.detect(np.full((256, 256, 3), 255, np.uint8))[0, 0, 2]
    assert most - network.detect(dark)[0, 0, 2] == pytest.approx(1.275, abs=2e-3)


NODE = {"name": "read", "op": "ReadFile", "input": ["input"]}
OTHER = {"inputs": {"input": {"name": "input"}}, "outputs": {}}
WRONG = {
    "an operation that reads files": (
        {"modelTopology": {"node": [NODE]}},
        r"model.json: `nodes` must be operations of MoveNet\. Received: ReadFile\.",
    ),
    "a file elsewhere": (
        {"weightsManifest": [{"paths": ["../people.bin"], "weights": []}]},
        r"model.json: .* Received: .*\.\./people.bin",
    ),
    "weights of another length": (
        {"weightsManifest": [{"paths": ["people.bin"], "weights": []}]},
        r"people.bin: `weights` must have the 0 bytes that the model tells\. Received: \d+\.",
    ),
    "another model": (
        {"signature": OTHER},
        r"model.json: `graph` must be MoveNet's, as TensorFlow.js has it",
    ),
    "no model": ({"modelTopology": 3}, r"model.json: `graph` must be MoveNet's"),
    "a node without its input": (
        {"modelTopology": {"node": [{"name": "people", "op": "Relu", "input": ["nobody"]}]}},
        r"model.json: `nodes` must be nodes of a graph of TensorFlow",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_graphs_are_refused_by_name(tmp_path, case):
    changes, message = WRONG[case]
    with pytest.raises(errors.RecordingError, match=message):
        person_detector.MoveNet(write(tmp_path, **changes))


def test_a_network_of_one_person_is_refused(tmp_path):
    path = write(tmp_path)
    path.write_text(path.read_text().replace('"56"', '"3"'))
    with pytest.raises(errors.RecordingError, match=r"`output` must be of 56 numbers a person"):
        person_detector.MoveNet(path)


def test_its_joints_are_cocos():
    assert person_detector.MOVENET_SKELETON is skeletons.COCO_17
