import dataclasses
import json

import pytest

from components import scores
from keras_mvlift import errors, sources
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.metrics import pose_error
from keras_mvlift.studio import aistpp, human36m, mpi_inf_3dhp
from pipeline import presets
from tests.datasets.rigs import simulated_rigs


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """What each source reads; simulated where the data is licensed."""
    folder = tmp_path_factory.mktemp("roots")
    few = {"num_takes": 1, "num_frames": 3, "formats": ("videopose3d",)}
    list(human36m.write_release(folder / "human36m", **few))
    (folder / "human36m" / "data_2d_h36m_gt.npz").unlink()
    few = {"num_frames": 2, "formats": ("p_stmo",)}
    list(mpi_inf_3dhp.write_release(folder / "mpi_inf_3dhp", **few))
    return {
        "pose2sim": pose2sim.demo_root(),
        "human36m": str(folder / "human36m"),
        "mpi_inf_3dhp": str(folder / "mpi_inf_3dhp" / "p_stmo"),
        "studio": "",
    }


FILES = {
    "rig.yaml": "rig",
    "calibration/Calib.qca.txt": "recording",
    "pose/cam1_json/a_000.json": "recording",
    "S1/MyPoseFeatures/D3_Positions/Directions.cdf": "human36m",
    "data_3d_h36m.npz": "human36m",
    "detections.pickle": "human36m",
    "S1/Seq1/annot.mat": "mpi_inf_3dhp",
    "mpi_inf_3dhp_test_set/TS1/annot_data.mat": "mpi_inf_3dhp",
    "data_train_3dhp.npz": "mpi_inf_3dhp",
    "keypoints2d/gBR_sBM_cAll_d04_mBR0_ch01.pkl": "aistpp",
    "cameras/mapping.txt": "aistpp",
}


def configured(*arguments, **options):
    return presets.configure(presets.Request(*arguments, **options))


def name(**options):
    return presets.pipeline_name(presets.Request(**options))


def put(folder, path, content=""):
    path = folder / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_presets_source_and_split_open(name, roots):
    config = presets.make(name, "").data
    clips = sources.open_source(config, roots[config.source]).clips()
    assert clips != []
    split = sources.open_split(config)
    assert set(getattr(split, "held_out_clips", ())) <= set(clips)


# Written out, not taken from the library: these are the published protocols.
TRAINED_ON = {
    "human36m": {"S1", "S5", "S6", "S7", "S8"},
    "mpi_inf_3dhp": {"S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8"},
}


TESTED_ON = {
    "human36m": {"S9", "S11"},
    "mpi_inf_3dhp": {"TS1", "TS2", "TS3", "TS4", "TS5", "TS6"},
}


@pytest.mark.parametrize("name", TESTED_ON)
def test_a_data_set_trains_and_tests_on_the_people_of_its_protocol(name, roots):
    config = presets.make(name, "").data
    split = sources.open_split(config)
    source = sources.open_source(config, roots[name])
    if name == "mpi_inf_3dhp":
        source = dataclasses.replace(source, first_frames="all")
    trained_on, tested_on = set(), set()
    for clip in source:
        frames = split.frames(clip)
        trained_on |= {clip.subject} if len(frames.train) else set()
        tested_on |= {clip.subject} if len(frames.test) else set()
    assert trained_on == TRAINED_ON[name]
    assert tested_on == TESTED_ON[name]


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_judges_by_what_is_measured(name):
    config = presets.PRESETS[name]()
    assert config.bounds
    assert {*config.worsening} <= set(pose_error.FIGURE_NAMES)
    assert {*config.bounds} <= {*pose_error.FIGURE_NAMES, *scores.NAMES}


def test_a_rigs_bounds_name_no_millimeter(tmp_path):
    simulated_rigs.write_rig(str(tmp_path), num_frames=3)
    for config in (presets.recording(), presets.rig(str(tmp_path))):
        assert set(config.bounds) == {
            "constant_pose_ratio",
            "nearest_view_ratio",
            "held_out_median_share",
        }


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_presets_rate_decays_within_its_epochs(name):
    stage = presets.PRESETS[name]().finetune
    assert 0 < stage.decay_every < stage.num_epochs


@pytest.mark.parametrize("name", ["demo", "human36m", "mpi_inf_3dhp"])
def test_the_papers_variant_is_the_papers_road(name):
    default, config = presets.make(name, ""), presets.make(name, "", "paper")
    assert (config.name, config.bounds) == (f"{default.name}_paper", default.bounds)
    assert (config.data.source, config.data.split) == (default.data.source, default.data.split)
    model = config.model
    assert (model.recipe, model.backbone, model.width) == ("paper", "paper", 1024)
    assert (model.layers_per_block, model.initializer) == (2, "fan_in_uniform")
    assert (model.network_input, config.finetune.flip_augmentation) == ("rays", False)
    first, second = config.pretrain, config.finetune
    assert (first.num_epochs, first.decay_every, first.clip_norm) == (20, 0, 0.0)
    assert (second.num_epochs, second.decay_every, second.decay_rate) == (300, 100, 0.1)
    assert (first.learning_rate, second.learning_rate, second.clip_norm) == (1e-3, 1e-3, 0.0)
    assert (second.views, second.confidence_weighting, second.distance) == (
        "pair",
        "source",
        "norm",
    )
    assert second.triangulation_weight == 0.0
    assert config.data.num_virtual_views == 0


def test_a_variant_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"`preset` must be one of.*paper.*Received: 'papr'"):
        presets.make("demo", "", "papr")


def test_the_demo_has_a_reference_and_other_recordings_none():
    assert json.loads(presets.demo().data.source_options)["reference"].endswith(".trc")
    assert presets.recording().data.source_options == "{}"


def test_recordings_see_centered_views_and_the_demo_which_is_tested_nearby_plain_ones():
    found = [(each.model, each.finetune) for each in (presets.recording(), presets.demo())]
    assert [(model.network_input, stage.flip_augmentation) for model, stage in found] == [
        ("centered", True),
        ("rays", False),
    ]


@pytest.mark.parametrize("with_tests", [True, False])
def test_a_rig_tests_on_the_clips_that_its_manifest_names(with_tests, tmp_path):
    clips = simulated_rigs.write_rig(str(tmp_path), num_frames=3)
    manifest = tmp_path / "rig.yaml"
    if not with_tests:
        lines = [line for line in manifest.read_text().splitlines() if "test:" not in line]
        manifest.write_text("\n".join(lines))
    config = presets.make("rig", str(tmp_path))
    assert (config.model.network_input, config.finetune.flip_augmentation) == ("centered", True)
    data = config.data
    assert data.source == "rig"
    assert data.split == ("clip" if with_tests else "blocks")
    if with_tests:
        assert sources.open_split(data).test_clips == (clips[-1].name,)


def test_aistpp_tests_and_holds_out_as_its_lists_say_and_judges_what_knows_no_scale(tmp_path):
    few = {"subjects": ("d05", "d06"), "num_takes": 2, "num_frames": 2}
    names = [one.name for one in aistpp.write_release(tmp_path, **few)]
    config = presets.make("aistpp", str(tmp_path))
    assert (config.model.network_input, config.finetune.flip_augmentation) == ("centered", True)
    split = sources.open_split(config.data)
    assert split.test_subjects == ("d06",)
    assert split.held_out_clips == (names[1],)
    assert sources.open_source(config.data, str(tmp_path)).clips() == names
    assert (config.data.stride, config.data.test_stride) == (6, 6)
    assert {name for name in config.bounds if name.endswith("_mm")} == {
        "n_mpjpe_mm",
        "p_mpjpe_mm",
    }
    assert config.name == config.data.source == "aistpp"


def test_the_studio_tests_on_people_it_does_not_train_on():
    config = presets.studio().data
    split = sources.open_split(config)
    subjects = {clip[:3] for clip in sources.open_source(config, "").clips()}
    assert set(split.test_subjects) < subjects


@pytest.mark.parametrize(("name", "preset"), FILES.items())
def test_one_file_is_enough_to_tell(name, preset, tmp_path):
    put(tmp_path, name)
    put(tmp_path, "README.txt")
    assert presets.recognize(str(tmp_path)) == preset


def test_the_embedded_recording_is_a_recording():
    assert presets.recognize(pose2sim.demo_root()) == "recording"


def test_a_manifest_may_be_named_itself(tmp_path):
    put(tmp_path, "studio.yaml")
    put(tmp_path, "S1/Seq1/annot.mat")
    assert presets.recognize(str(tmp_path / "studio.yaml")) == "rig"


def test_what_is_recognized_has_a_preset():
    assert set(FILES.values()) <= {*presets.PRESETS, *presets.OF_FOLDER} == {*presets.NAMES}


@pytest.mark.parametrize(
    ("names", "received"),
    [
        ([], "Received: nothing."),
        (["videos/a.mp4", "notes.txt"], r"Received: notes\.txt, videos\."),
        (["data_3d_h36m.npz", "rig.yaml"], "Received: signs of rig and human36m"),
    ],
)
def test_an_unknown_folder_is_told_what_would_be_known(names, received, tmp_path):
    for name in names:
        put(tmp_path, name)
    with pytest.raises(errors.RecordingError, match=rf"hold one of .*Human3\.6M.*{received}"):
        presets.recognize(str(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(errors.RecordingError, match=r"missing: `data_root` must exist"):
        presets.recognize(str(tmp_path / "missing"))


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
    assert (config.finetune.num_epochs, config.finetune.decay_every) == (60, 52)
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


@pytest.mark.parametrize(("num_clips", "held_out"), [(4, ()), (5, ("S03_walking_01",))])
def test_of_many_clips_of_a_rig_some_are_held_out(num_clips, held_out, tmp_path):
    clips = simulated_rigs.write_rig(str(tmp_path), num_frames=3, num_clips=num_clips)
    config = presets.rig(str(tmp_path))
    split = sources.open_split(config.data)
    assert split.test_clips == (clips[-1].name,)
    assert split.held_out_clips == held_out
