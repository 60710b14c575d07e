import shutil
import subprocess
import sys

import numpy as np
import pytest

from keras_mvlift import inference, skeletons
from keras_mvlift.training import lifters
from tests import tiny_studio

# Lifts a pose where nothing that training needs can be imported.
ELSEWHERE = """
import sys
import keras_mvlift
loaded = keras_mvlift.load_model
FOREIGN = {"tensorflow", "keras", "tfx", "apache_beam", "scipy", "jinja2", "onnxruntime"}
OURS = ("keras_mvlift.training", "keras_mvlift.networks", "keras_mvlift.datasets")
imported = set(sys.modules)
assert not FOREIGN & imported, FOREIGN & imported
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FOREIGN or name.startswith(OURS):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Block())
import numpy as np
pose = loaded(sys.argv[1]).lift(np.zeros((17, 2)), camera=np.diag([1000.0, 1000.0, 1.0]))
assert pose.pose_camera.shape == (17, 3)
print(*sorted(name for name in sys.modules if name.startswith("keras_mvlift")))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_studio.save(tiny_studio.trained(), folder)
    return folder


def put(folder, *places):
    for place in places:
        shutil.copytree(folder, place)


def test_the_model_says_what_it_is(folder):
    model = inference.load_model(folder)
    assert model.path == folder
    assert model.joint_names == skeletons.H36M_17.joints
    assert model.parents == skeletons.H36M_17.parents
    np.testing.assert_array_equal(model.intrinsics, tiny_studio.INTRINSICS)
    assert model.description["rig_distance"] == tiny_studio.RIG_DISTANCE


def test_a_version_is_loaded_by_its_own_folder(folder, tmp_path):
    put(folder, tmp_path / "7")
    assert inference.load_model(str(tmp_path / "7")).path == tmp_path / "7"


def test_of_a_folder_of_versions_the_newest_number_is_loaded(folder, tmp_path):
    # As text, 9 comes behind 10, and names behind both.
    put(folder, tmp_path / "9", tmp_path / "10", tmp_path / "latest", tmp_path / "11.partial")
    (tmp_path / "12").mkdir()
    (tmp_path / "13").write_text("no folder")
    assert inference.load_model(tmp_path).path == tmp_path / "10"


def test_of_a_pipelines_output_the_newest_pushed_version_is_loaded(folder, tmp_path):
    served = tmp_path / "serving" / "mvlift"
    put(folder, served / "1700000000", served / "1700000001")
    assert inference.load_model(tmp_path).path == served / "1700000001"


@pytest.mark.parametrize("name", ["nowhere", "empty", "unnumbered"])
def test_where_no_model_lies_is_said(folder, tmp_path, name):
    (tmp_path / "empty").mkdir()
    put(folder, tmp_path / "unnumbered" / "latest")
    rule = rf"{name}: must be a SavedModel, .* or a pipeline's output folder; no saved_model\.pb"
    with pytest.raises(FileNotFoundError, match=rule):
        inference.load_model(tmp_path / name)


def test_a_saved_model_of_someone_elses_is_refused(folder, tmp_path):
    put(folder, tmp_path / "1")
    (tmp_path / "1" / lifters.FOLDER / lifters.DESCRIPTION).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"model\.json: not there; no model of keras_mvlift"
    ):
        inference.load_model(tmp_path)


def test_using_a_model_takes_numpy_alone(folder, tmp_path):
    arguments = [sys.executable, "-c", ELSEWHERE, str(folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours = [name.removeprefix("keras_mvlift") for name in done.stdout.split()]
    light = (".inference", ".model_", ".numpy_networks", ".skeletons", ".geometry", ".errors")
    assert all(name == "" or name.startswith(light) for name in ours)
    assert ".inference" in ours
