"""Identifies the code that decides a cell's figures."""

import functools
import hashlib
import pathlib

import keras_mvlift

# What only chooses, shows or stores is left out: a new row of a table leaves old cells valid.
_DECIDES = (
    "argument_rules.py",
    "config_rules.py",
    "configs.py",
    "finetune_switches.py",
    "mirror_images.py",
    "recipe_defaults.py",
    "skeletons.py",
    "units.py",
    "calibration",
    "datasets",
    "geometry",
    "losses",
    "metrics",
    "networks",
    "studio",
    "training",
    "untrusted",
    "experiments/cell_runs.py",
    "experiments/epoch_curves.py",
    "experiments/film_tracks.py",
    "experiments/joint_shares.py",
    "experiments/label_free_methods.py",
    "experiments/methods.py",
    "experiments/motion_clips.py",
    "experiments/origins.py",
    "experiments/peer_methods.py",
    "experiments/recording_clips.py",
    "experiments/rig_changes.py",
    "experiments/temporal_methods.py",
    "experiments/training_data.py",
    "experiments/training_runs.py",
    "experiments/window_data.py",
)


@functools.cache
def code_digest() -> str:
    """Gives 16 letters that change with the sources of all that trains or measures."""
    return _digest(pathlib.Path(keras_mvlift.__file__).parent)


def _digest(root: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for part in _DECIDES:
        path = root / part
        for source in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(f"{source.relative_to(root)}\n".encode() + source.read_bytes())
    return digest.hexdigest()[:16]
