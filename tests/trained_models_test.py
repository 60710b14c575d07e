import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_mvlift import inference, trained_models


@pytest.fixture
def folder(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "copy")


@pytest.fixture
def older(folder):
    """A model of before there were arrays beside the SavedModel."""
    for path in (folder / trained_models.DESCRIPTION.parent).glob("*.npz"):
        path.unlink()
    return folder


def test_what_is_whole_is_read(model_folder):
    assert len(trained_models.read_description(model_folder)["joints"]) == 17
    assert "lift_camera" in trained_models.open_model(model_folder).signatures


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "`file` must be JSON. Received: no name in double quotes"),
        (b"\xff\xfe", "`file` must be JSON"),
        (b"[]", "`file` must be a JSON object. Received: list"),
        (b"{}", "`joints` must be a list of names. Received: None"),
        ({"joints": ["pelvis", 3]}, "`joints` must be a list of names"),
        ({"parents": [0]}, "`parents` must be 17 whole numbers"),
        ({"parents": [17] * 17}, "`parents` must be numbers of 17 joints"),
        ({"joints": ["pelvis"] * 17}, "`joints` must be names, each once"),
        ({"is_mirrored": "yes"}, "`is_mirrored` must be true or false. Received: yes"),
        ({"folded": {"root": {}}}, "`folded` must hold layers_per_block, network_input and"),
        (
            {"folded": {"layers_per_block": 2, "network_input": "rays", "root": {"a": 1}}},
            "`folded` must hold layers_per_block, network_input and the numbers of root",
        ),
        ({"intrinsics": "wide"}, "`intrinsics` must be an array of numbers"),
        ({"intrinsics": [1.0]}, r"`intrinsics` must be \[3, 3\], pixels. Received: shape \[1\]"),
        ({"joint_mixes": []}, "`joint_mixes` must be a JSON object. Received: list"),
        ({"joint_mixes": {"coco_17": [[1.0]]}}, r"`joint_mixes` .* Received: coco_17: \[1, 1\]"),
        ({"joint_mixes": {"coco_17": ["a"]}}, "`joint_mixes` must hold 17 by 17 numbers"),
        (
            {"joint_mixes": {"coco_17": (np.eye(17) + np.eye(17, k=1)).tolist()}},
            r"`joint_mixes` must leave the root, .* Received: coco_17: \[1.0, 0.0",
        ),
        ({"joint_mixes": {"mine": np.eye(17).tolist()}}, "`joint_mixes` .* Received: mine"),
        ({"window": {}}, "`window` must hold num_frames, is_causal, frame_step"),
    ],
)
def test_a_damaged_description_is_refused_by_name(folder, content, message):
    path = folder / trained_models.DESCRIPTION
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content).encode()
    path.write_bytes(content)
    with pytest.raises(trained_models.ModelFileError, match=f"model.json: {message}"):
        inference.load_model(folder)


def test_a_missing_description_is_no_model_of_ours(folder):
    (folder / trained_models.DESCRIPTION).unlink()
    with pytest.raises(FileNotFoundError, match="no model of keras_mvlift"):
        inference.load_model(folder)


@pytest.mark.parametrize("damage", ["empty", "cut", "junk", "no variables", "cut variables"])
def test_a_damaged_savedmodel_is_one_sentence(older, damage):
    file = older / trained_models.SAVED_MODEL
    (data,) = (older / "variables").glob("*data*")
    if damage == "no variables":
        shutil.rmtree(older / "variables")
    elif damage == "cut variables":
        data.write_bytes(data.read_bytes()[:100])
    else:
        kept = {"empty": b"", "cut": file.read_bytes()[:5000], "junk": b"\xff\x00junk"}
        file.write_bytes(kept[damage])
    with pytest.raises(trained_models.ModelFileError, match="must be a whole SavedModel") as caught:
        inference.load_model(older)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{older}: `saved_model.pb`")


@pytest.mark.parametrize("path", [None, 3])
def test_what_is_no_path_is_refused_by_name(path):
    with pytest.raises(ValueError, match="`path` must be a folder's path"):
        inference.load_model(path)


def reads_a_file(name):
    return tf.strings.length(tf.io.read_file(name))


def writes_a_file(name):
    tf.io.write_file(name, "x")
    return 0


def prints_to_a_file(name):
    tf.print("x", output_stream="file:///tmp/never-written")
    return 0


def runs_in_a_loop(name):
    return tf.while_loop(lambda i: i < 1, lambda i: [i + reads_a_file(name)], [0])[0]


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (reads_a_file, "ReadFile"),
        (writes_a_file, "WriteFile"),
        (prints_to_a_file, "PrintV2"),
        (runs_in_a_loop, "ReadFile"),
        (lambda name: tf.raw_ops.MatchingFiles(pattern=name), "MatchingFiles"),
        (
            lambda name: tf.raw_ops.RestoreV2(
                prefix=name, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
            )[0],
            "RestoreV2",
        ),
    ],
)
def test_operations_that_reach_out_are_refused_unless_asked_for(
    older, tmp_path, function, operation
):
    module = tf.Module()
    module.lift = tf.function(function, input_signature=[tf.TensorSpec([], tf.string)])
    shutil.rmtree(older / "variables")
    (older / trained_models.SAVED_MODEL).unlink()
    tf.saved_model.save(module, str(older))
    with pytest.raises(
        trained_models.ModelFileError, match=f"keeps to itself.*Received: {operation}"
    ):
        inference.load_model(older)
    assert hasattr(trained_models.open_model(older, is_trusted=True), "lift")


def test_what_tensorflow_saves_with_is_not_to_be_called(older):
    file = older / trained_models.SAVED_MODEL
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    save = next(each for each in functions if "traced_save" in each.signature.name)
    lift = next(each for each in functions if "lift_camera" in each.signature.name)
    lift.node_def[0].attr["f"].func.name = save.signature.name
    file.write_bytes(saved.SerializeToString())
    with pytest.raises(trained_models.ModelFileError, match="Received: __inference__traced_save"):
        inference.load_model(older)


def test_a_file_that_would_be_read_instead_is_refused(older):
    (older / "saved_model.cpb").touch()
    with pytest.raises(trained_models.ModelFileError, match=r"Received: saved_model.cpb"):
        inference.load_model(older)
