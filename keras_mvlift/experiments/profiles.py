"""How large a run is."""

import dataclasses

from keras_mvlift import configs
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
        seeds: Without `--seeds`.
    """

    name: str
    budget: variants.Budget
    studio: origins.StudioOrigin
    max_train_frames: int
    max_test_frames: int
    stride: int
    seeds: tuple[int, ...]


QUICK = Profile(
    name="quick",
    budget=variants.Budget(
        width=128,
        dropout=0.1,
        batch_size=128,
        num_epochs=14,
        num_pretrain_epochs=2,
        steps_per_epoch=40,
        decay_every=10,
    ),
    studio=origins.StudioOrigin(num_subjects=10, num_test_subjects=2, num_frames=40),
    max_train_frames=2500,
    max_test_frames=400,
    stride=10,
    seeds=(0,),
)
FULL = Profile(
    name="full",
    budget=variants.Budget(
        width=1024,
        batch_size=1024,
        num_epochs=60,
        num_pretrain_epochs=5,
        steps_per_epoch=200,
        decay_every=20,
    ),
    studio=origins.StudioOrigin(num_subjects=40, num_test_subjects=8, num_frames=100),
    max_train_frames=40_000,
    max_test_frames=5_000,
    stride=5,
    seeds=(0, 1, 2),
)
PROFILES = {profile.name: profile for profile in (QUICK, FULL)}

# How each kind of recording is split, as its community does; other kinds by blocks of frames.
_SPLITS = {
    "human36m": {"split": "subject", "split_options": '{"test_subjects": ["S9", "S11"]}'},
    "mpi_inf_3dhp": {
        "split": "subject",
        "split_options": '{"test_subjects": ["TS1", "TS2", "TS3", "TS4", "TS5", "TS6"]}',
    },
}


def open_origin(
    profile: Profile, motions: list[str], data_root: str | None, source: str | None
) -> origins.Origin:
    """Gives the data at hand: recordings, motions, or without both made-up people.

    Args:
        profile: Limits how much is taken.
        motions: Files of motions.
        data_root: Recordings, of the kind `source`, a name of `sources.SOURCES`.
        source: The kind.

    Raises:
        ValueError: If the arguments contradict each other.
    """
    if bool(data_root) != bool(source) or (motions and data_root):
        raise ValueError(
            "`data_root` and `source` must be given together, and not with `motions`. "
            f"Received: data_root={data_root}, source={source}, motions={motions}."
        )
    if data_root and source:
        config = configs.DataConfig(
            source=source,
            stride=profile.stride,
            **_SPLITS.get(source, {}),  # type: ignore[arg-type]
        )
        return origins.RecordingOrigin(config=config, data_root=data_root)
    if motions:
        return origins.MotionOrigin(
            paths=tuple(motions),
            max_train_frames=profile.max_train_frames,
            max_test_frames=profile.max_test_frames,
        )
    return profile.studio
