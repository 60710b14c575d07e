import json

import pytest

from keras_mvlift.datasets import aistpp
from keras_mvlift.experiments import origins, profiles


def test_motions_are_limited_by_the_profile():
    origin = profiles.open_origin(profiles.QUICK, ["a.npz"])
    assert isinstance(origin, origins.MotionOrigin)
    assert origin.max_train_frames == profiles.QUICK.max_train_frames > 0


@pytest.mark.parametrize(
    ("source", "split", "options"),
    [
        ("human36m", "subject", '{"test_subjects": ["S9", "S11"]}'),
        ("aistpp", "subject", f'{{"test_subjects": {json.dumps(aistpp.TEST_SUBJECTS)}}}'),
        ("rig", "blocks", "{}"),
    ],
)
def test_recordings_are_split_as_their_community_does(source, split, options):
    origin = profiles.open_origin(profiles.FULL, [], profiles.Recordings("data", source))
    assert (origin.config.split, origin.config.split_options) == (split, options)
    assert origin.config.stride == profiles.FULL.stride


def test_of_large_sets_alone_test_frames_are_thinned():
    strides = [
        profiles.open_origin(
            profiles.QUICK, [], profiles.Recordings("data", source)
        ).config.test_stride
        for source in ("human36m", "aistpp", "mpi_inf_3dhp")
    ]
    assert strides == [profiles.QUICK.test_stride, profiles.QUICK.test_stride, 1]


def test_other_recordings_are_tested_on_as_their_community_does():
    origin = profiles.open_origin(
        profiles.FULL,
        [],
        profiles.Recordings("near", "human36m", '{"detections": "gt"}'),
        profiles.Recordings("far", "mpi_inf_3dhp"),
    )
    assert (origin.data_root, origin.test_data_root) == ("near", "far")
    assert origin.config.source_options == '{"detections": "gt"}'
    assert "TS6" in origin.test_config.split_options


@pytest.mark.parametrize(
    "arguments",
    [
        ([], profiles.Recordings("data", None)),
        ([], profiles.Recordings(None, "rig")),
        (["a.npz"], profiles.Recordings("data", "rig")),
        ([], profiles.Recordings("data", "rig"), profiles.Recordings("other", None)),
    ],
)
def test_contradicting_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="must be given together with `source`, and not with"):
        profiles.open_origin(profiles.QUICK, *arguments)


def test_other_recordings_alone_are_refused():
    with pytest.raises(ValueError, match="`test_data_root` must be given with `data_root`"):
        profiles.open_origin(
            profiles.QUICK, [], profiles.NO_RECORDINGS, profiles.Recordings("data", "rig")
        )


def test_other_steps_keep_epochs_as_long_and_the_staircase_in_proportion():
    budget = profiles.changed(profiles.LONG, steps=24_000).budget
    assert (budget.num_epochs, budget.decay_every, budget.steps_per_epoch) == (120, 40, 200)
    short = profiles.changed(profiles.LONG, steps=400).budget
    assert (short.num_epochs, short.decay_every) == (2, 1)
    assert profiles.changed(profiles.LONG) == profiles.LONG


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"steps": 250}, "`steps` must be a multiple of the 200 of an epoch. Received: 250"),
        ({"steps": 0}, "`steps` must be a multiple of the 200 of an epoch. Received: 0"),
        ({"width": 0}, "`width` must be at least 1"),
        ({"precision": "half"}, "`precision` must be one of float32, mixed_bfloat16"),
    ],
)
def test_budgets_that_cannot_be_are_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        profiles.changed(profiles.LONG, **changes)
