"""The paper's order of methods, by three quarters of the quick profile's steps on made-up people.

The margins are those between figures of several seeds, halved; docs/experiments.md has the figures.
"""

import dataclasses

import pytest

from keras_mvlift.experiments import methods, profiles, runs, tables
from keras_mvlift.training import lifters
from tests import tiny_studio

pytestmark = pytest.mark.e2e

PROFILE = dataclasses.replace(
    profiles.QUICK, budget=dataclasses.replace(profiles.QUICK.budget, steps_per_epoch=30)
)
DEFAULT = "solved root, all views and triangulated pose"
ROWS = {
    "table1": ("Reproj", "Reproj+ADV", "Trans Reproj", DEFAULT),
    "figure6": tuple(f"paper, no depth guard{how} pre-training" for how in (", with", ", without")),
}


@pytest.fixture(scope="module")
def mpjpe_mm(tmp_path_factory):
    """Trains each row once; pre-training, which is the same for all that have it, once in all."""
    pretrained, pretrain = [], methods.pretrain

    def pretrain_once(lifter, run):
        if not pretrained:
            pretrain(lifter, run)
            pretrained[:] = tiny_studio.weights(lifter)
        for variable, value in zip(lifters.weights_of(lifter), pretrained, strict=True):
            variable.assign(value)

    chosen = [
        dataclasses.replace(
            tables.TABLES[name], rows=[row for row in tables.TABLES[name].rows if row.name in names]
        )
        for name, names in ROWS.items()
    ]
    experiments = runs.Experiments(
        profile=PROFILE,
        origin=PROFILE.studio,
        chosen=chosen,
        seeds=(0,),
        folder=tmp_path_factory.mktemp("quick"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "pretrain", pretrain_once)
        experiments.run()
    found = {}
    for table in chosen:
        for row in table.rows:
            record = experiments.store.read(experiments.digest(experiments.cell(row, 0)))
            found[row.name] = record["figures"]["overall"]["mpjpe_mm"]
    return found


def test_each_part_of_the_method_gives_what_the_paper_says(mpjpe_mm):
    reproj, adversarial, trans_reproj, _ = (mpjpe_mm[name] for name in ROWS["table1"])
    assert reproj > 3 * adversarial
    assert adversarial > 1.15 * trans_reproj
    assert trans_reproj < 130


def test_the_default_goes_beyond_the_papers_recipe(mpjpe_mm):
    assert mpjpe_mm[DEFAULT] < 0.92 * mpjpe_mm["Trans Reproj"]
    assert mpjpe_mm[DEFAULT] < 105


def test_without_guard_and_clipping_pretraining_decides(mpjpe_mm):
    trained, untrained = (mpjpe_mm[name] for name in ROWS["figure6"])
    assert untrained > 3 * trained
    assert trained < 130
