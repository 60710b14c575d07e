"""Runs the commands that are a call of the library; each imports what it needs when it runs.

A ValueError or OSError says what does not do; all return the exit status.
"""

import argparse
import importlib
import inspect
import json
from typing import Any

from keras_mvlift import errors

_MEGABYTE = 1e6

# By name the module of `keras_mvlift.export` whose `write` takes a model and a path, and what else
# it takes. Files end in the module's name.
FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    "onnx": ("onnx", {}),
    "tflite": ("tflite", {"weights": "float32"}),
    "tflite_float16": ("tflite", {"weights": "float16"}),
    "tflite_int8": ("tflite", {"weights": "int8"}),
}


def export(options: argparse.Namespace) -> int:
    """Writes the model as ONNX or TFLite, and prints how large it is."""
    from keras_mvlift import inference

    name, more = FORMATS[options.format]
    module = importlib.import_module(f"keras_mvlift.export.{name}")
    module.write(inference.load_model(options.model), options.output, **more)
    size = options.output.stat().st_size / _MEGABYTE
    print(f"{options.output}: {options.format}, {size:.2f} MB")
    return 0


_PARAMETERS = ("data_root", "output_root", "preset", "num_epochs", "seed", "settings")


def pipeline(options: argparse.Namespace) -> int:
    """Trains by the pipeline, where it is installed, or shows what a training would be told."""
    given = {name: getattr(options, name) for name in _PARAMETERS}
    given = {name: value for name, value in given.items() if value is not None}
    if options.command == "train":
        status: int = _pipeline("local").main(
            [f"--{name}={value}" for name, value in given.items()]
        )
        return status
    presets = _pipeline("presets")
    if options.what == "presets":
        print(presets.told())
        return 0
    if options.what == "schema":
        shown = _pipeline("settings").schema()
    else:
        given.pop("output_root", None)
        config, _ = presets.configure(presets.Request(**given))
        shown = config.as_settings()
    print(json.dumps(shown, indent=2))
    return 0


def _pipeline(name: str) -> Any:
    try:
        return importlib.import_module(f"pipeline.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pipeline":
            raise
        rule = "be installed for this, as `make setup` does in a checkout of keras_mvlift"
        raise errors.ArgumentError("pipeline", rule, "no such module") from error


def rollout(options: argparse.Namespace) -> int:
    """Moves labels of a served model's versions as told, waits for a server, and tells them."""
    from keras_mvlift.serving import clients, rollouts

    path, config = options.config, rollouts.read_config(options.config)
    if options.move == "show":
        labels = rollouts.labels_of(path, config)
    elif options.move == "start":
        labels = rollouts.started(options.version)
        rollouts.write_config(path, rollouts.label_steps(path, config, labels, is_start=True)[0])
    else:
        changes = {
            "try": lambda old: old.tried(options.version),
            "promote": rollouts.Labels.promoted,
            "withdraw": rollouts.Labels.withdrawn,
            "rollback": rollouts.Labels.rolled_back,
        }
        server = None if options.server is None else clients.parse(options.server)
        labels = rollouts.apply(path, changes[options.move], server, options.wait)
    for name, version in labels._asdict().items():
        print(f"{name:<10}{version}")
    return 0


def simulate(options: argparse.Namespace) -> int:
    """Writes a simulated release of a data set, and shows how far it is."""
    from tqdm import tqdm

    # Its `write_release` takes a folder and, by keyword, any of the arguments below; it may be an
    # iterator that ends when all is written.
    simulation = importlib.import_module(f"keras_mvlift.studio.{options.dataset}")
    told = {"subjects": options.subjects and tuple(options.subjects), "seed": options.seed}
    told |= {"num_takes": options.takes, "num_frames": options.frames}
    # The others are the simulation's to choose.
    given = {name: value for name, value in told.items() if value is not None}
    for name in sorted({*given} - {*inspect.signature(simulation.write_release).parameters}):
        rule = f"be left out with {options.dataset}"
        raise errors.ArgumentError(f"--{name.removeprefix('num_')}", rule, given[name])
    takes = simulation.write_release(options.out, **given)
    for _ in tqdm(takes or (), unit=" takes", desc=options.dataset, disable=None):
        pass
    print(f"{options.out}: a simulated {options.dataset}")
    return 0


def view(options: argparse.Namespace) -> int:
    """Writes lifted poses as a page to turn and play, and prints its path."""
    import webbrowser

    from keras_mvlift.lifting import pose_clip, pose_comparison
    from keras_mvlift.visualization import pages

    paths = [options.result, *options.compare]
    names = [path.stem for path in paths]
    if len({*names}) < len(names):
        # Short names are not each their own.
        names = [str(path) for path in paths]
    is_other = len({*names}) == len(names)
    errors.require(is_other, "compare", "name other files", ", ".join(names[1:]))
    clips = {name: pose_clip.read(path) for name, path in zip(names, paths, strict=True)}
    reference = pose_clip.read(options.reference) if options.reference else None
    shown = pose_comparison.combine_clips(clips, reference)
    pages.write_viewer(shown, options.output, title=" and ".join(clips))
    print(options.output)
    if options.open:
        webbrowser.open(options.output.resolve().as_uri())
    return 0
