import json

import pytest

from keras_mvlift.datasets import pose2sim, sources
from keras_mvlift.metrics import summary
from pipeline import presets


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_presets_source_and_split_open(name):
    config = presets.PRESETS[name]().data
    data_root = pose2sim.demo_root() if config.source == "pose2sim" else ""
    assert sources.open_source(config, data_root).clips()
    sources.open_split(config)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_judges_by_what_is_measured(name):
    config = presets.PRESETS[name]()
    assert config.bounds
    assert {*config.bounds, *config.worsening} <= set(summary.NAMES)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_presets_rate_decays_within_its_epochs(name):
    stage = presets.PRESETS[name]().finetune
    assert 0 < stage.decay_every < stage.num_epochs


def test_the_demo_has_a_reference_and_other_recordings_none():
    assert json.loads(presets.demo().data.source_options)["reference"].endswith(".trc")
    assert presets.recording().data.source_options == "{}"


def test_the_studio_tests_on_people_it_does_not_train_on():
    config = presets.studio().data
    split = sources.open_split(config)
    subjects = {clip[:3] for clip in sources.open_source(config, "").clips()}
    assert set(split.test_subjects) < subjects
