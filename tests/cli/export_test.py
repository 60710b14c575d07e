import onnxruntime
import pytest
import tensorflow as tf

from keras_mvlift.cli import main, running
from tests import temporal_networks, tiny_studio

INPUTS = {"keypoints_2d", "confidence", "intrinsics"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    # TFLite leaves layers of fewer than 1024 weights as they are.
    tiny_studio.save(tiny_studio.trained(width=64), folder, width=64)
    return folder


def run(*arguments):
    return main.main(["export", *map(str, arguments)])


def inputs_of(path):
    """The names of a file's inputs, read by the format's own runtime."""
    if path.suffix == ".onnx":
        return {value.name for value in onnxruntime.InferenceSession(str(path)).get_inputs()}
    (signature,) = tf.lite.Interpreter(str(path)).get_signature_list().values()
    return {*signature["inputs"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exported")


def place(folder, name):
    return folder / f"{name}.{running.FORMATS[name][0]}"


@pytest.mark.parametrize("name", running.FORMATS)
def test_every_format_is_written_in_one_line(model, folder, name, capfd):
    path = place(folder, name)
    assert run(model, "--format", name, "--output", path) == 0
    printed = capfd.readouterr()
    assert printed.out == f"{path}: {name}, {path.stat().st_size / 1e6:.2f} MB\n"
    # The command itself turns these off before TensorFlow is imported.
    others = [line for line in printed.err.splitlines() if "tensorflow/core/" not in line]
    assert others == []
    assert inputs_of(path) == INPUTS


def test_weights_are_kept_as_the_format_says(model, folder):
    sizes = {}
    for name in ("tflite", "tflite_float16", "tflite_int8"):
        if not place(folder, name).exists():
            run(model, "--format", name, "--output", place(folder, name))
        sizes[name] = place(folder, name).stat().st_size
    assert sizes["tflite_int8"] < 0.8 * sizes["tflite_float16"] < 0.6 * sizes["tflite"]


def test_a_file_that_is_there_is_overwritten_by_force_only(model, tmp_path, capsys):
    path = tmp_path / "lifter.tflite"
    path.write_text("mine")
    asked = [model, "--format", "tflite", "--output", path]
    assert run(*asked) == 1
    assert "is there already; `--force` overwrites a file." in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert run(*asked, "--force") == 0
    assert inputs_of(path) == INPUTS


def test_what_cannot_be_exported_is_one_sentence_and_leaves_no_file(model, tmp_path, refused):
    path, asked = tmp_path / "lifter.tflite", ["--format", "tflite", "--output"]
    rule = "`output` must end in .tflite. Received: lifter.onnx.\n"
    refused(rule, "export", "studio", *asked, tmp_path / "lifter.onnx")
    rule = "nowhere must be a folder to write lifter.tflite to."
    refused(rule, "export", model, *asked, tmp_path / "nowhere" / "lifter.tflite")
    refused("no saved_model.pb was found", "export", tmp_path, *asked, path)
    assert [*tmp_path.iterdir()] == []
    temporal_networks.save(tmp_path / "saved")
    rule = "export: `model` must lift single frames to be exported."
    refused(rule, "export", tmp_path / "saved", *asked, path)
    assert not path.exists()
