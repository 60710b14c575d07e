import json
import shutil

import pytest

from keras_mvlift import inference
from tests import tiny_studio


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained(), folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def test_what_is_whole_is_read(whole):
    assert len(inference.read_description(whole)["joints"]) == 17
    assert "lift_camera" in inference.open_model(whole).signatures


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "`file` must be JSON. Received: Expecting property name"),
        (b"\xff\xfe", "`file` must be JSON"),
        (b"[]", "`file` must be a JSON object. Received: list"),
        (b"{}", "`joints` must be a list of names. Received: None"),
        ({"joints": ["pelvis", 3]}, "`joints` must be a list of names"),
        ({"parents": [0]}, "`parents` must be 17 whole numbers"),
        ({"intrinsics": "wide"}, "`intrinsics` must be an array of numbers"),
        ({"intrinsics": [1.0]}, r"`intrinsics` must be \[3, 3\], pixels. Received: shape \[1\]"),
        ({"window": {}}, "`window` must hold num_frames, is_causal, frame_step"),
    ],
)
def test_a_damaged_description_is_refused_by_name(folder, content, message):
    path = folder / inference.DESCRIPTION
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content).encode()
    path.write_bytes(content)
    with pytest.raises(inference.ModelFileError, match=f"model.json: {message}"):
        inference.load_model(folder)


def test_a_missing_description_is_no_model_of_ours(folder):
    (folder / inference.DESCRIPTION).unlink()
    with pytest.raises(FileNotFoundError, match="no model of keras_mvlift"):
        inference.load_model(folder)


@pytest.mark.parametrize("damage", ["empty", "cut", "junk", "no variables", "cut variables"])
def test_a_damaged_savedmodel_is_one_sentence(folder, damage):
    file = folder / inference.SAVED_MODEL
    (data,) = (folder / "variables").glob("*data*")
    if damage == "no variables":
        shutil.rmtree(folder / "variables")
    elif damage == "cut variables":
        data.write_bytes(data.read_bytes()[:100])
    else:
        kept = {"empty": b"", "cut": file.read_bytes()[:5000], "junk": b"\xff\x00junk"}
        file.write_bytes(kept[damage])
    with pytest.raises(inference.ModelFileError, match="must be a whole SavedModel") as caught:
        inference.load_model(folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{folder}: `saved_model.pb`")


@pytest.mark.parametrize("path", [None, 3])
def test_what_is_no_path_is_refused_by_name(path):
    with pytest.raises(ValueError, match="`path` must be a folder's path"):
        inference.load_model(path)
