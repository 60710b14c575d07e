"""Experiments of seconds: a studio of three people, networks of eight units, two short epochs."""

import dataclasses

from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import origins, profiles, runs, tables, variants

BUDGET = variants.Budget(
    width=8,
    dropout=0.0,
    batch_size=16,
    num_epochs=2,
    num_pretrain_epochs=1,
    steps_per_epoch=3,
    decay_every=0,
)
STUDIO = origins.StudioOrigin(num_subjects=3, num_test_subjects=1, num_frames=4)
PROFILE = profiles.Profile(
    name="tiny",
    budget=BUDGET,
    studio=STUDIO,
    max_train_frames=20,
    max_test_frames=10,
    stride=1,
    test_stride=1,
    seeds=(0,),
)
SMALL = tables.Table(
    name="small",
    title="Small",
    rows=(
        tables.row("solved root"),
        tables.row("triangulation", method="triangulation"),
    ),
    is_per_action=True,
    has_curves=True,
    has_cases=True,
)


def experiments(folder, *rows, seeds=(0,), origin=STUDIO):
    """Plans a table, `SMALL` unless rows are given."""
    table = dataclasses.replace(SMALL, rows=rows) if rows else SMALL
    return runs.Experiments(PROFILE, origin, [table], seeds, folder)


def cell(seed=0, **variant):
    """Returns a cell of `BUDGET`."""
    changes = {"backbone": "res_linear"} | variant
    return variants.Cell(variant=variants.Variant(**changes), budget=BUDGET, seed=seed)


def data(**settings):
    """Films `STUDIO`."""
    return training_data.TrainingData(STUDIO, variants.DataSettings(**settings))
