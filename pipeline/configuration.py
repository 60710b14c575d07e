"""From what is typed to what is run."""

import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from components.example_gen import spans
from pipeline import layouts, presets, settings


class Request(NamedTuple):
    """What was typed.

    Attributes:
        data_root: What to read; None for the embedded recording. `{SPAN}` in it stands for the
            newest of numbered recordings.
        settings: A JSON file of settings, or None.
        num_epochs: Of the second stage, or None.
        seed: Of everything that is drawn, or None.
        preset: A name of `presets.VARIANTS`, what to do with the data, or None for what the
            settings say, `"default"` if nothing.
    """

    data_root: str | None = None
    settings: pathlib.Path | None = None
    num_epochs: int | None = None
    seed: int | None = None
    preset: str | None = None


def configure(request: Request) -> tuple[settings.PipelineConfig, str]:
    """Chooses the preset that fits the data and lays over it what was asked for.

    Returns:
        The config, and what its source reads; empty for a source that reads nothing.

    Raises:
        ValueError: If settings break a rule, or the data is of no known kind.
    """
    overrides, variant = _asked(request)
    preset = _preset(request.data_root, overrides)
    root = "" if request.data_root is None else str(pathlib.Path(request.data_root).resolve())
    config = presets.make(preset, _newest(root), variant).updated(overrides)
    if request.num_epochs is not None:
        config = config.with_num_epochs(request.num_epochs)
    if request.seed is not None:
        config = config.with_seed(request.seed)
    if not root and config.data.source == "pose2sim":
        from keras_mvlift.datasets.rigs import pose2sim

        return config, pose2sim.demo_root()
    return config, root


def pipeline_name(request: Request) -> str:
    """Gives the pipeline's name; what is wrong with a request is left for `configure` to say."""
    name = presets.NAMES["demo"]
    with contextlib.suppress(ValueError, OSError):
        overrides, variant = _asked(request)
        with contextlib.suppress(ValueError, OSError):
            name = presets.NAMES[_preset(request.data_root, overrides)]
            name = presets.name_of(name, variant)
        name = settings.PipelineConfig(name=overrides.get("name", name)).name
    return name


def _asked(request: Request) -> tuple[dict[str, Any], str]:
    """Returns what the settings file says, but for the preset, and the preset's variant."""
    overrides = settings.read(request.settings) if request.settings else {}
    variant = overrides.pop("preset", "default")
    return overrides, request.preset or variant


def _newest(data_root: str) -> str:
    return spans.newest(data_root).path if spans.are_in(data_root) else data_root


def _preset(data_root: str | None, overrides: Mapping[str, Any]) -> str:
    """Gives the name of the preset: by the source that is asked for, else by the files."""
    if data_root is None:
        return "demo"
    data = overrides.get("data")
    source = data.get("source") if isinstance(data, Mapping) else None
    if source is None:
        return layouts.recognize(_newest(data_root))
    return source if source in presets.DATA_SETS else "recording"
