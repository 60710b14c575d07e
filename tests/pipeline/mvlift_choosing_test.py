import json

import pytest

from keras_mvlift import sources
from pipeline import mvlift, presets

CHOOSING = {
    "pretrain.patience": {"pretrain": {"patience": 2}},
    "finetune.patience": {"finetune": {"patience": 2}},
    "tune.num_trials": {"tune": {"num_trials": 3}},
    "model.uncertainty": {"model": {"uncertainty": True}},
}


def split_of(config, **options):
    return sources.open_split(mvlift.data_for_choosing(config, **options))


@pytest.mark.parametrize("name", presets.PRESETS)
def test_where_nothing_chooses_the_data_is_as_it_was(name):
    config = presets.PRESETS[name]()
    assert mvlift.choosers(config) == []
    assert mvlift.data_for_choosing(config) == config.data


@pytest.mark.parametrize("chooser", CHOOSING)
@pytest.mark.parametrize("name", presets.PRESETS)
def test_whatever_chooses_has_a_part_of_its_own(name, chooser):
    config = presets.PRESETS[name]().updated(CHOOSING[chooser])
    assert mvlift.choosers(config) == [chooser]
    split = split_of(config)
    assert split.holds_out
    assert not {*getattr(split, "held_out_subjects", ())} & {*getattr(split, "test_subjects", ())}


def test_choices_on_human36m_are_made_by_a_person_of_their_own():
    config = presets.human36m().updated(CHOOSING["finetune.patience"])
    assert split_of(config).held_out_subjects == ("S8",)
    tested = {"data": {"split_options": {"test_subjects": ["S8"]}}}
    split = split_of(config.updated(tested))
    assert (split.held_out_subjects, split.held_out_share) == ((), 0.1)


def test_what_the_split_holds_out_is_left_as_it_is():
    config = presets.mpi_inf_3dhp().updated(CHOOSING["finetune.patience"])
    assert mvlift.data_for_choosing(config) == config.data
    assert split_of(config).held_out_clips == ("S8_Seq2",)


def test_recordings_that_keep_coming_hold_out_where_cameras_stand():
    config = presets.recording()
    assert split_of(config, is_followed=True).held_out_share == 0.1
    assert json.loads(config.data.split_options) == {}
