"""Settings that are known to work, by name."""

import json
from typing import Any

from keras_mvlift import configs
from pipeline import settings

NAMES = {
    "demo": "mvlift",
    "recording": "recording",
    "rig": "rig",
    "human36m": "human36m",
    "mpi_inf_3dhp": "mpi_inf_3dhp",
    "aistpp": "aistpp",
    "studio": "mvlift_studio",
}
"""Preset to the name of its pipeline."""

DATA_SETS = ("rig", "human36m", "mpi_inf_3dhp", "aistpp")
"""The presets that are named like the source that they are for."""


_SMALL = configs.ModelConfig(backbone="res_linear", width=256)


def demo() -> settings.PipelineConfig:
    """Gives the settings for the embedded recording: four cameras, a hundred frames, one person.

    The network is small and virtual cameras are many because the recording is short.
    """
    options = {
        "name": "balancing",
        "subject": "pose2sim_demo",
        "action": "balancing",
        "reference": "opensim/Balancing_for_IK.trc",
    }
    changes = {"name": NAMES["demo"], "data": {"source_options": options}}
    return recording().updated(changes)


def recording() -> settings.PipelineConfig:
    """Gives the settings for one short recording in Pose2Sim's layout, without a reference."""
    return settings.PipelineConfig(
        name=NAMES["recording"],
        data=configs.DataConfig(source="pose2sim", split="blocks", num_virtual_views=8),
        model=_SMALL,
        **_stages(_SMALL, 5, num_epochs=45, decay_every=15, batch_size=128),
        bounds={"mpjpe_mm": 80.0, "p_mpjpe_mm": 65.0},
    )


def rig(data_root: str) -> settings.PipelineConfig:
    """Gives the settings for a manifest: its test clips, or blocks of frames without any."""
    from keras_mvlift.datasets.rigs import recordings

    test_clips = recordings.RigSource(root=data_root).test_clips()
    split: dict[str, object] = {"split": "clip", "split_options": {"test_clips": test_clips}}
    changes = {"name": NAMES["rig"], "data": {"source": "rig", **(split if test_clips else {})}}
    return recording().updated(changes)


def human36m() -> settings.PipelineConfig:
    """Gives the settings for Human3.6M: the paper's network and split, tested at 50 fps.

    Training on every fifth frame, the number of pairs and the number of epochs are ours to choose.
    """
    return _data_set("human36m", ("S9", "S11"), stride=5)


def mpi_inf_3dhp() -> settings.PipelineConfig:
    """Gives the settings for MPI-INF-3DHP: chest-high cameras, the official test set.

    The test clips have one camera each, so that one training clip is held out for the loss.
    """
    test_subjects = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
    changes = {
        "source_options": {"training_stride": 5},
        "split_options": {"test_subjects": test_subjects, "held_out_clips": ["S8_Seq2"]},
    }
    return _data_set("mpi_inf_3dhp", test_subjects).updated({"data": changes})


def aistpp(data_root: str) -> settings.PipelineConfig:
    """Gives the settings for AIST++: the official dancers and held-out clips, at 10 Hz.

    Its scale is nominal, so that a model is judged by errors that do not know it.
    """
    from keras_mvlift.datasets import aistpp as dataset

    split = dataset.AISTPPSource(root=data_root).splits()
    config = _data_set("aistpp", (), stride=6)
    changes = {"data": {"split_options": split, "test_stride": 6}}
    bounds = {"n_mpjpe_mm": 100.0, "p_mpjpe_mm": 80.0}
    return config.updated(changes | {"bounds": bounds, "worsening": {"n_mpjpe_mm": 0.1}})


def _data_set(
    name: str, test_subjects: tuple[str, ...], stride: int = 1
) -> settings.PipelineConfig:
    return settings.PipelineConfig(
        name=NAMES[name],
        data=configs.DataConfig(
            source=name,
            split="subject",
            split_options=json.dumps({"test_subjects": test_subjects}),
            stride=stride,
            num_virtual_views=8,
            pairs_per_instant=12,
        ),
        **_stages(configs.ModelConfig(), 10, num_epochs=60, decay_every=20),
        bounds={"mpjpe_mm": 100.0, "p_mpjpe_mm": 80.0},
    )


def studio() -> settings.PipelineConfig:
    """Gives the settings for a small synthetic studio: people on whom it trains, and others."""
    people = {"num_subjects": 6, "num_clips": 5, "num_frames": 100}
    split = {"test_subjects": ["S05", "S06"]}
    return settings.PipelineConfig(
        name=NAMES["studio"],
        data=configs.DataConfig(
            source="studio",
            source_options=json.dumps(people, sort_keys=True),
            split="subject",
            split_options=json.dumps(split, sort_keys=True),
        ),
        model=_SMALL,
        **_stages(_SMALL, 5, num_epochs=30, decay_every=10, batch_size=256),
    )


def paper(preset: settings.PipelineConfig) -> settings.PipelineConfig:
    """Returns what the paper does with the data of a preset, in a pipeline of its own.

    View pairs, eq. (6) for 20 epochs, then eq. (7) for 300 with a tenth of the learning rate after
    each 100; width 1024, four blocks, no clipping. The paper's eight virtual views are an option:
    settings `{"data": {"num_virtual_views": 8}}`.
    """
    stages = {"learning_rate": 1e-3, "batch_size": 1024}
    return preset.updated(
        {
            "name": name_of(preset.name, "paper"),
            "data": {"num_virtual_views": 0},
            "model": {"recipe": "paper", "backbone": "paper", "width": 1024}
            | {"initializer": configs.FAN_IN_UNIFORM},
            "pretrain": {"num_epochs": 20, **stages},
            "finetune": {"num_epochs": 300, "decay_every": 100, "decay_rate": 0.1, **stages},
        }
    )


def _stages(
    model: configs.ModelConfig, num_pretrain_epochs: int, batch_size: int = 1024, **schedule: Any
) -> dict[str, Any]:
    """Returns the settings of both stages, which have batches of one size."""
    both: dict[str, Any] = {"batch_size": batch_size}
    pretrain = both | {"num_epochs": num_pretrain_epochs} | configs.pretraining(model)
    finetune = both | schedule | configs.finetuning(model)
    return {
        "pretrain": configs.PretrainConfig(**pretrain),
        "finetune": configs.FinetuneConfig(**finetune),
    }


PRESETS = {
    "demo": demo,
    "recording": recording,
    "human36m": human36m,
    "mpi_inf_3dhp": mpi_inf_3dhp,
    "studio": studio,
}


OF_FOLDER = {"rig": rig, "aistpp": aistpp}
"""The presets that depend on what the folder holds."""


def name_of(name: str, variant: str) -> str:
    """Returns the name of the pipeline that does something else than the default."""
    return name if variant == "default" else f"{name}_{variant}"


VARIANTS = {"default": lambda preset: preset, "paper": paper}
"""What to do with the data of a preset: the default, or the paper's own road."""


def make(name: str, data_root: str, variant: str = "default") -> settings.PipelineConfig:
    """Makes a preset for the data at hand.

    Args:
        name: One of `NAMES`.
        data_root: What the preset's source reads.
        variant: One of `VARIANTS`.

    Raises:
        ValueError: If there is no such variant.
    """
    configs.one_of("preset", variant, tuple(VARIANTS))
    return VARIANTS[variant](OF_FOLDER[name](data_root) if name in OF_FOLDER else PRESETS[name]())
