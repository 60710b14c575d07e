import dataclasses

import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, sequences
from keras_mvlift.training import multi_view_lifter, objectives
from tests import tiny_studio


@pytest.fixture(scope="module")
def seen():
    everything = preparation.BySubject(test_subjects=())
    config = configs.DataConfig(source="studio")
    clip = tiny_studio.film()
    view = sequences.to_view(preparation.training_instants(clip, everything, config))
    return tf.nest.map_structure(lambda field: tf.constant(field[:4]), view)


def switches(**changes):
    return multi_view_lifter.of_config(configs.FinetuneConfig(views="all", **changes))


def looks(seen, share=1.0, **changes):
    """Whether anything is known of the instants."""
    found = switches(**changes).find_agreement(seen, tf.constant(share))
    return bool(found.is_known.numpy().any())


def test_a_config_without_switches_changes_nothing():
    assert switches() == multi_view_lifter.InstantSwitches()


def test_a_config_says_how_roots_are_solved_and_what_else_counts():
    root = {"robust_steps": 2, "gauss_newton_steps": 1, "robust_kernel": "huber"}
    root |= {"robust_scale_px": 3.0, "image_space": "rays"}
    weights = {"triangulation_weight": 0.1, "symmetry_weight": 0.2, "bone_length_weight": 0.3}
    rest = {"flip_augmentation": True, "agreement_weighting": True, "triangulation_epochs": 7}
    expected = multi_view_lifter.InstantSwitches(
        root_solver=objectives.RootSolver(**root),
        extra_losses=objectives.Auxiliaries(**weights),
        **rest,
    )
    assert switches(**root, **weights, **rest) == expected
    defaults = dataclasses.asdict(multi_view_lifter.InstantSwitches())
    assert all(dataclasses.asdict(expected)[name] != value for name, value in defaults.items())


@pytest.mark.parametrize(
    "changes",
    [{"agreement_weighting": True}, {"bone_length_weight": 1.0}, {"triangulation_weight": 1.0}],
    ids=str,
)
def test_views_are_asked_where_the_answer_counts(seen, changes):
    assert looks(seen, **changes)


@pytest.mark.parametrize("changes", [{}, {"symmetry_weight": 1.0}, {"robust_loss": True}], ids=str)
def test_views_are_not_asked_for_nothing(seen, changes):
    assert not looks(seen, **changes)


def test_after_the_first_epochs_they_are_asked_no_more_unless_others_need_it(seen):
    first = {"triangulation_weight": 1.0, "triangulation_epochs": 2}
    assert looks(seen, share=1.0, **first)
    assert not looks(seen, share=0.0, **first)
    assert looks(seen, share=0.0, **first, agreement_weighting=True)
