"""How large a run is."""

import dataclasses
import json
from typing import NamedTuple

from keras_mvlift import configs, errors
from keras_mvlift.datasets import aistpp
from keras_mvlift.datasets.human36m import protocol as human36m
from keras_mvlift.datasets.mpi_inf_3dhp import protocol as mpi_inf_3dhp
from keras_mvlift.experiments import origins, variants


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """The size of a run.

    Attributes:
        name: For the output.
        budget: What each cell may spend.
        studio: The made-up people, where no data are given.
        max_train_frames: Of recorded motions; 0 for all.
        max_test_frames: The same for the test people.
        stride: Every how many frames of recordings one is trained on.
        test_stride: Every how many frames of Human3.6M or AIST++ one is tested on; both have many.
        seeds: Without `--seeds`.
        tables: Names of those that are run where nothing else is asked for; none for all that are
            no other profile's own.
    """

    name: str
    budget: variants.Budget
    studio: origins.StudioOrigin
    max_train_frames: int = 40_000
    max_test_frames: int = 5_000
    stride: int = 5
    test_stride: int = 5
    seeds: tuple[int, ...] = (0, 1, 2)
    tables: tuple[str, ...] = ()


QUICK = Profile(
    name="quick",
    budget=variants.Budget(
        width=128,
        dropout=0.1,
        filter_widths=(3, 3, 3),
        batch_size=128,
        num_epochs=10,
        num_pretrain_epochs=2,
        steps_per_epoch=40,
        decay_every=7,
    ),
    studio=origins.StudioOrigin(num_subjects=10, num_test_subjects=2, num_frames=40),
    max_train_frames=2500,
    max_test_frames=400,
    stride=10,
    test_stride=50,
    seeds=(0,),
)
MEDIUM = Profile(
    name="medium",
    budget=variants.Budget(
        width=256,
        filter_widths=(3, 3, 3),
        batch_size=256,
        num_epochs=10,
        num_pretrain_epochs=2,
        steps_per_epoch=200,
        decay_every=7,
    ),
    studio=origins.StudioOrigin(num_subjects=20, num_test_subjects=4, num_frames=60),
    max_train_frames=20_000,
    max_test_frames=3_000,
    test_stride=20,
)
FULL = Profile(
    name="full",
    budget=variants.Budget(steps_per_epoch=200),
    studio=origins.StudioOrigin(num_subjects=40, num_test_subjects=8, num_frames=100),
)
LONG = Profile(
    name="long",
    budget=variants.Budget(
        width=512, filter_widths=(3, 3, 3, 3), batch_size=256, steps_per_epoch=200
    ),
    studio=FULL.studio,
    seeds=(0,),
    tables=("long",),
)
PROFILES = {profile.name: profile for profile in (QUICK, MEDIUM, FULL, LONG)}


def changed(
    profile: Profile,
    steps: int | None = None,
    width: int | None = None,
    precision: str | None = None,
) -> Profile:
    """Returns a profile of another budget; what is None stays.

    `steps` are of the main stage, in epochs as long as before; the learning rate falls after as
    large a share of them.

    Raises:
        ValueError: If there are no whole epochs of so many steps, or the width is not positive.
    """
    budget = profile.budget
    if steps is not None:
        num_epochs, rest = divmod(steps, budget.steps_per_epoch)
        rule = f"be a multiple of the {budget.steps_per_epoch} of an epoch"
        errors.require(not rest and num_epochs >= 1, "steps", rule, steps)
        decay_every = round(budget.decay_every * num_epochs / budget.num_epochs)
        decay_every = max(decay_every, 1) if budget.decay_every else 0
        budget = dataclasses.replace(budget, num_epochs=num_epochs, decay_every=decay_every)
    if width is not None:
        configs.at_least("width", width, 1)
        budget = dataclasses.replace(budget, width=width)
    if precision is not None:
        errors.require_known("precision", precision, configs.PRECISIONS)
        budget = dataclasses.replace(budget, precision=precision)
    return dataclasses.replace(profile, budget=budget)


# Of these not every frame is tested on.
_LARGE = ("human36m", "aistpp")

# Who tests in each kind of recording, as its community has it; other kinds are split by blocks.
_TEST_SUBJECTS = {
    "human36m": human36m.TEST_SUBJECTS,
    "mpi_inf_3dhp": mpi_inf_3dhp.TEST_SUBJECTS,
    "aistpp": aistpp.TEST_SUBJECTS,
}


class Recordings(NamedTuple):
    """Where recordings are, which of `sources.SOURCES` reads them, and its options as JSON."""

    data_root: str | None = None
    source: str | None = None
    options: str = "{}"


NO_RECORDINGS = Recordings()


def open_origin(
    profile: Profile,
    motions: list[str],
    recordings: Recordings = NO_RECORDINGS,
    elsewhere: Recordings = NO_RECORDINGS,
) -> origins.Origin:
    """Returns the data at hand: recordings, motions, or without both made-up people.

    `elsewhere` are recordings by other cameras, to test on in rows about that.

    Raises:
        ValueError: If the arguments contradict each other.
    """
    for given in (recordings, elsewhere):
        holds = bool(given.data_root) == bool(given.source) and not (motions and given.data_root)
        rule = "be given together with `source`, and not with `motions`"
        errors.require(holds, "data_root", rule, f"{given.data_root}, {given.source}, {motions}")
    holds = bool(recordings.data_root or not elsewhere.data_root)
    errors.require(holds, "test_data_root", "be given with `data_root`", elsewhere.data_root)
    if recordings.data_root:
        return origins.RecordingOrigin(
            config=_config(profile, recordings),
            data_root=recordings.data_root,
            test_config=_config(profile, elsewhere) if elsewhere.data_root else None,
            test_data_root=elsewhere.data_root or "",
        )
    if motions:
        return origins.MotionOrigin(
            paths=tuple(motions),
            max_train_frames=profile.max_train_frames,
            max_test_frames=profile.max_test_frames,
        )
    return profile.studio


def _config(profile: Profile, recordings: Recordings) -> configs.DataConfig:
    source, split = recordings.source or "", {}
    if source in _TEST_SUBJECTS:
        who = json.dumps({"test_subjects": _TEST_SUBJECTS[source]})
        split = {"split": "subject", "split_options": who}
    return configs.DataConfig(
        source=source,
        source_options=recordings.options,
        stride=profile.stride,
        test_stride=profile.test_stride if source in _LARGE else 1,
        **split,  # type: ignore[arg-type]
    )
