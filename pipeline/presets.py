"""Settings that are known to work, by name."""

import contextlib
import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from keras_mvlift import configs, errors, sources
from pipeline import settings

_DATA = ("recording", "rig", "human36m", "mpi_inf_3dhp", "aistpp")
NAMES = {"demo": "mvlift", **{name: name for name in _DATA}, "studio": "mvlift_studio"}
"""Preset to the name of its pipeline."""

_SMALL = configs.ModelConfig(backbone="res_linear", width=256)
# What a rig's own views teach holds for other people and places only where views are centered and
# people mirrored (docs/method.md).
_CENTERED = dataclasses.replace(_SMALL, network_input="centered")

# What training from random weights has to beat where there may be little to train on.
_RIVAL = "studio"

# Of any rig: a tenth better than what needs no network, and in views that it was not lifted from
# a pose is off by less than a tenth of the person's size.
_RELATIVE = {"constant_pose_ratio": 0.9, "nearest_view_ratio": 0.9, "held_out_median_share": 0.1}


# Of a rig's clips: from how many on some are held out, and how many.
_MANY_CLIPS, _HELD_OUT_EVERY = 4, 5


def demo() -> settings.PipelineConfig:
    """Returns the settings for the embedded recording: four cameras, a hundred frames, one person.

    The network is small and virtual cameras are many because the recording is short. It is tested
    close to frames that it trains on, where plain views do as well as centered ones. The shipped
    model has seen it, and is no rival.
    """
    options = {
        "name": "balancing",
        "subject": "pose2sim_demo",
        "action": "balancing",
        "reference": "opensim/Balancing_for_IK.trc",
    }
    changes = {
        "name": NAMES["demo"],
        "data": {"source_options": options},
        "model": {"network_input": "rays"},
        "rival": "",
        "bounds": {"mpjpe_mm": 80.0, "p_mpjpe_mm": 65.0},
    }
    return recording().updated(changes)


def recording() -> settings.PipelineConfig:
    """Returns the settings for one short recording in Pose2Sim's layout, without a reference."""
    return settings.PipelineConfig(
        name=NAMES["recording"],
        data=configs.DataConfig(source="pose2sim", split="blocks", num_virtual_views=8),
        model=_CENTERED,
        rival=_RIVAL,
        **_stages(_CENTERED, 9, num_epochs=78, decay_every=26, batch_size=128),
        bounds=_RELATIVE,
    )


def rig(data_root: str) -> settings.PipelineConfig:
    """Returns the settings for a manifest: its test clips, or blocks of frames without any.

    Of four clips or more to train on one in five is held out, which tells more of new clips than
    the ends of those trained on.
    """
    from keras_mvlift.datasets.rigs import recordings

    source = recordings.RigSource(root=data_root)
    test_clips = source.test_clips()
    others = [name for name in source.clips() if name not in test_clips]
    options: dict[str, object] = {"test_clips": test_clips} if test_clips else {}
    if len(others) >= _MANY_CLIPS:
        options["held_out_clips"] = others[_HELD_OUT_EVERY // 2 :: _HELD_OUT_EVERY]
    data = {"source": "rig", "split": "clip" if test_clips else "blocks", "split_options": options}
    return recording().updated({"name": NAMES["rig"], "data": data})


def human36m() -> settings.PipelineConfig:
    """Returns the settings for Human3.6M: the paper's network and split, tested at 50 fps.

    Training on every fifth frame, the number of pairs and the number of epochs are ours to choose.
    """
    return _data_set("human36m", ("S9", "S11"), stride=5)


def mpi_inf_3dhp() -> settings.PipelineConfig:
    """Returns the settings for MPI-INF-3DHP: chest-high cameras, the official test set.

    The test clips have one camera each, so that one training clip is held out for the loss.
    """
    test_subjects = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
    changes = {
        "source_options": {"training_stride": 5},
        "split_options": {"test_subjects": test_subjects, "held_out_clips": ["S8_Seq2"]},
    }
    return _data_set("mpi_inf_3dhp", test_subjects).updated({"data": changes})


def aistpp(data_root: str) -> settings.PipelineConfig:
    """Returns the settings for AIST++: the official dancers and held-out clips, at 10 Hz.

    Its scale is nominal, so that a model is judged by errors that do not know it.
    """
    from keras_mvlift.datasets import aistpp as dataset

    split = dataset.AISTPPSource(root=data_root).splits()
    config = _data_set("aistpp", (), stride=6)
    changes = {
        "data": {"split_options": split, "test_stride": 6},
        "model": {"network_input": "centered"},
        "rival": _RIVAL,
    }
    bounds = {"n_mpjpe_mm": 100.0, "p_mpjpe_mm": 80.0, **_RELATIVE}
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
    """Returns the settings for a small synthetic studio: people on whom it trains, and others."""
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
            "rival": "",
            "data": {"num_virtual_views": 0},
            "model": {"recipe": "paper", "backbone": "paper", "width": 1024}
            | {"network_input": "rays"},
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


def told() -> str:
    """Names the presets, each with what it is for."""
    variants = {"default": "what goes beyond the paper", "paper": _purpose(paper)}
    by_data = {name: _purpose((PRESETS | OF_FOLDER)[name]) for name in NAMES}
    lines = ["--preset:", *(f"  {name:<14}{told}" for name, told in variants.items())]
    lines += ["by the data:", *(f"  {name:<14}{told}" for name, told in by_data.items())]
    return "\n".join(lines)


def _purpose(preset: Any) -> str:
    first = str(preset.__doc__).split("\n", 1)[0].rstrip(".")
    return re.sub("^Returns (the settings for )?", "", first)


def make(name: str, data_root: str, variant: str = "default") -> settings.PipelineConfig:
    """Makes a preset of `NAMES` for the data at hand, in one of `VARIANTS`, or a ValueError."""
    errors.require_known("preset", variant, VARIANTS)
    return VARIANTS[variant](OF_FOLDER[name](data_root) if name in OF_FOLDER else PRESETS[name]())


class Request(NamedTuple):
    """What was typed; None for what was not."""

    # What to read, the embedded recording if it is None; `{SPAN}` in it stands for the newest of
    # numbered recordings.
    data_root: str | None = None
    settings: pathlib.Path | None = None
    num_epochs: int | None = None
    seed: int | None = None
    preset: str | None = None  # Of `VARIANTS`; None for what the settings say, or the default.


def configure(request: Request) -> tuple[settings.PipelineConfig, str]:
    """Chooses the preset that fits the data and lays over it what was asked for.

    Returns:
        The config, and what its source reads; empty for a source that reads nothing.

    Raises:
        ValueError: If settings break a rule, or the data is of no known kind.
    """
    overrides, variant = _asked(request)
    rule = "be left out with preset 'paper', whose networks start from random weights"
    start = overrides.get("start_from", "")
    errors.require(variant == "default" or not start, "start_from", rule, repr(start))
    preset = _preset(request.data_root, overrides)
    root = "" if request.data_root is None else str(pathlib.Path(request.data_root).resolve())
    config = make(preset, _newest(root), variant).updated(overrides)
    if request.num_epochs is not None:
        config = config.with_num_epochs(request.num_epochs)
    if request.seed is not None:
        config = config.with_seed(request.seed)
    if not root and config.data.source == "pose2sim":
        from keras_mvlift.datasets.rigs import pose2sim

        return config, pose2sim.demo_root()
    return config, root


def pipeline_name(request: Request) -> str:
    """Returns the pipeline's name; what is wrong with a request is left for `configure` to say."""
    name = NAMES["demo"]
    with contextlib.suppress(ValueError, OSError):
        overrides, variant = _asked(request)
        with contextlib.suppress(ValueError, OSError):
            name = NAMES[_preset(request.data_root, overrides)]
            name = name_of(name, variant)
        name = settings.PipelineConfig(name=overrides.get("name", name)).name
    return name


def _asked(request: Request) -> tuple[dict[str, Any], str]:
    """Returns what the settings file says, but for the preset, and the preset's variant."""
    overrides = settings.read(request.settings) if request.settings else {}
    variant = overrides.pop("preset", "default")
    return overrides, request.preset or variant


def _newest(data_root: str) -> str:
    return sources.newest_span(data_root).path if sources.has_spans(data_root) else data_root


def _preset(data_root: str | None, overrides: Mapping[str, Any]) -> str:
    """Returns the name of the preset: by the source that is asked for, else by the files."""
    if data_root is None:
        return "demo"
    data = overrides.get("data")
    source = data.get("source") if isinstance(data, Mapping) else None
    if source is None:
        return recognize(_newest(data_root))
    return source if source in _DATA else "recording"


# Preset to the patterns of which one file or folder is enough, and what to say of it.
_SIGNS = {
    "rig": (("rig.yaml", "rig.yml"), "a manifest `rig.yaml`"),
    "recording": (("calibration/*.qca.txt", "pose/*_json"), "Pose2Sim's `calibration` and `pose`"),
    "human36m": (
        ("data_3d_h36m.npz", "data_2d_h36m_*.npz", "S*/MyPoseFeatures", "detections.pickle"),
        "Human3.6M's `S*/MyPoseFeatures` or `data_3d_h36m.npz`",
    ),
    "mpi_inf_3dhp": (
        ("S*/Seq*/annot.mat", "mpi_inf_3dhp_test_set", "data_train_3dhp.npz"),
        "MPI-INF-3DHP's `S*/Seq*/annot.mat` or `data_train_3dhp.npz`",
    ),
    "aistpp": (
        ("keypoints2d/*_cAll_*.pkl", "cameras/mapping.txt"),
        "AIST++'s `keypoints2d` and `cameras/mapping.txt`",
    ),
}


def recognize(data_root: str) -> str:
    """Tells the preset that fits a folder or a manifest.

    Raises:
        RecordingError: If there is nothing, or nothing known, or signs of two kinds of data.
    """
    root = pathlib.Path(data_root)
    if not root.exists():
        raise errors.RecordingError(root, "data_root", "exist", "no such file or folder")
    if root.is_file() and root.suffix in {".yaml", ".yml"}:
        return "rig"
    found = [
        preset
        for preset, (patterns, _) in _SIGNS.items()
        if any(any(root.glob(pattern)) for pattern in patterns)
    ]
    if len(found) != 1:
        known = ", ".join(words for _, words in _SIGNS.values())
        entries = sorted(path.name for path in root.iterdir())[:8] if root.is_dir() else [root.name]
        received = f"signs of {' and '.join(found)}" if found else ", ".join(entries) or "nothing"
        raise errors.RecordingError(root, "data_root", f"hold one of {known}", received)
    return found[0]
