import json

import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import pose2sim
from pipeline import presets


def configured(*arguments, **options):
    return presets.configure(presets.Request(*arguments, **options))


def name(**options):
    return presets.pipeline_name(presets.Request(**options))


def put(folder, path, content=""):
    path = folder / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_the_demo_is_the_default():
    assert configured() == (presets.demo(), pose2sim.demo_root())
    assert name() == "mvlift"


def test_a_recording_of_ones_own_is_taken_by_its_absolute_path(tmp_path, monkeypatch):
    put(tmp_path, "mine/calibration/Calib.qca.txt")
    monkeypatch.chdir(tmp_path)
    assert configured("mine") == (presets.recording(), str(tmp_path / "mine"))
    assert name(data_root="mine") == "recording"


@pytest.mark.parametrize(
    ("file", "preset"),
    [("data_3d_h36m.npz", presets.human36m), ("S1/Seq1/annot.mat", presets.mpi_inf_3dhp)],
)
def test_a_known_folder_gets_its_preset(file, preset, tmp_path):
    put(tmp_path, file)
    config, root = configured(str(tmp_path))
    assert (config, root) == (preset(), str(tmp_path))
    assert name(data_root=root) == config.name == config.data.source


def test_a_source_that_is_asked_for_needs_no_recognizing(tmp_path):
    data = {"source": "human36m", "source_options": {"subjects": ["S1", "S9"]}}
    path = put(tmp_path, "settings.json", json.dumps({"data": data}))
    config, _ = configured(str(tmp_path), path)
    assert config.data.split == "subject"
    assert json.loads(config.data.source_options) == {"subjects": ["S1", "S9"]}
    path.write_text('{"data": {"source": "motion_studio"}}')
    assert configured(str(tmp_path), path)[0].data.split == "blocks"


def test_options_override_settings_and_settings_the_preset(tmp_path):
    stage = {"num_epochs": 30, "seed": 1, "batch_size": 9}
    path = put(tmp_path, "settings.json", json.dumps({"finetune": stage}))
    config, _ = configured(settings=path, num_epochs=60, seed=7)
    assert (config.finetune.num_epochs, config.finetune.decay_every) == (60, 30)
    assert (config.finetune.seed, config.finetune.batch_size) == (7, 9)
    assert config.data.source_options == presets.demo().data.source_options


@pytest.mark.parametrize("is_typed", [True, False])
def test_the_papers_road_is_asked_for_by_one_word(is_typed, tmp_path):
    words = {"data": {"num_virtual_views": 8}, **({} if is_typed else {"preset": "paper"})}
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(words))
    request = presets.Request(settings=path, preset="paper" if is_typed else None)
    config, _ = presets.configure(request)
    assert (config.model.recipe, config.finetune.num_epochs) == ("paper", 300)
    assert config.data.num_virtual_views == 8
    assert presets.pipeline_name(request) == config.name == "mvlift_paper"


def test_a_source_that_reads_nothing_has_no_root(tmp_path):
    path = put(tmp_path, "settings.json", '{"data": {"source": "studio"}}')
    assert configured(settings=path)[1] == ""


def test_settings_name_the_pipeline(tmp_path):
    path = put(tmp_path, "settings.json", '{"name": "mine"}')
    assert name(settings=path) == "mine"
    assert name(settings=path, data_root=str(tmp_path / "missing")) == "mine"


def test_what_is_wrong_is_said_by_configure_alone(tmp_path):
    missing = str(tmp_path / "missing")
    assert name(data_root=missing) == "mvlift"
    assert name(settings=tmp_path / "missing.json") == "mvlift"
    with pytest.raises(errors.RecordingError, match="`data_root` must exist"):
        configured(missing)


def test_of_numbered_recordings_the_newest_tells_the_preset_and_all_stay_named(tmp_path):
    put(tmp_path, "spans/00002/data_3d_h36m.npz")
    put(tmp_path, "spans/00010/calibration/Calib.qca.txt")
    root = f"{tmp_path}/spans/{{SPAN}}"
    assert configured(root) == (presets.recording(), root)
    assert name(data_root=root) == "recording"
