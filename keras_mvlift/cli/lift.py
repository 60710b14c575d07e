"""Lifts people's 2D joints in a file to 3D poses, in a file or a page to look at.

`keras-mvlift lift detections_json --model output --frame-rate 60 --fov 60 --output poses.trc`
"""

import argparse
import dataclasses
import functools
import importlib
import importlib.util
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from keras_mvlift import inference, lifting, skeletons, smoothing, viewpoints
from keras_mvlift.pose_files import formats, pose_clip, tracks_2d, tracks_2d_formats

# Ending to the module whose `write` takes a clip and a path, imported only when it is asked for.
_PICTURES = {
    ".html": "keras_mvlift.visualization.pose_viewer",
    ".mp4": "keras_mvlift.visualization.pose_movie",
    ".gif": "keras_mvlift.visualization.pose_movie",
}
ENDINGS = (*formats.ENDINGS, *_PICTURES)
"""Of all that can be written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "input",
        type=pathlib.Path,
        help=f"a folder of OpenPose's JSON, or a file: {', '.join(tracks_2d_formats.ENDINGS)}",
    )
    parser.add_argument("--model", help="a trained model's folder")
    parser.add_argument(
        "--server",
        metavar="ADDRESS",
        help="TensorFlow Serving, grpc://HOST[:PORT][/MODEL] or http://...; --model then tells the "
        "camera of training and a temporal model's frames, and may be left out",
    )
    parser.add_argument(
        "--output", type=pathlib.Path, required=True, help=f"what to write: {', '.join(ENDINGS)}"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")
    seen = parser.add_argument_group("input, where it does not tell")
    seen.add_argument("--skeleton", choices=skeletons.SKELETONS, help="the joint set")
    seen.add_argument("--frame-rate", type=float, metavar="HZ", help="frames per second")
    seen.add_argument("--image-size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"))
    _add_camera(parser.add_argument_group("camera, by default one like those of training"))
    parser.add_argument(
        "--space", choices=pose_clip.SPACES, help="by default the most that the camera tells"
    )
    parser.add_argument("--smooth", action="store_true", help="smooth over time (One-Euro)")


def _add_camera(parser: argparse._ArgumentGroup) -> None:
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument("--fov", type=float, metavar="DEGREES", help="horizontal field of view")
    camera.add_argument(
        "--intrinsics", type=float, nargs=4, metavar=("FX", "FY", "CX", "CY"), help="pixels"
    )
    camera.add_argument("--calibration", type=pathlib.Path, metavar="FILE", help="a rig's file")
    parser.add_argument("--camera", metavar="NAME", help="which of the calibration's")
    parser.add_argument(
        "--distortion",
        type=float,
        nargs="+",
        default=[],
        metavar="K1",
        help="with --intrinsics: OpenCV's k1 k2 p1 p2 k3, or the first of them",
    )


def run(options: argparse.Namespace) -> int:
    """Lifts and writes.

    Raises:
        ValueError: If the input, the model or an option does not do; says why.
        OSError: If a file is missing, or the output is there already.
    """
    _require_writable(options.output, options.force)
    tracks = _read(options)
    viewpoint = _viewpoint(options, tracks)
    model = _model(options, viewpoint)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        clip = lifting.lift(
            model,
            tracks,
            viewpoint,
            space=options.space,
            frame_rate=options.frame_rate,
            one_euro=smoothing.OneEuro() if options.smooth else None,
            progress=_progress(),
        )
    for warning in caught:
        print(f"keras-mvlift lift: {warning.message}", file=sys.stderr)
    clip = dataclasses.replace(clip, about={"model": options.server or options.model, **clip.about})
    for path in write(clip, options.output):
        print(f"{path}: {_summary(clip)}")
    return 0


def write(clip: pose_clip.PoseClip, path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Writes a clip to a path ending in one of `ENDINGS`; gives the files that were written."""
    module = _PICTURES.get(path.suffix.lower())
    if module is None:
        return formats.write(clip, path)
    importlib.import_module(module).write(clip, path)
    return (path,)


def _read(options: argparse.Namespace) -> tracks_2d.Tracks2D:
    tracks = tracks_2d_formats.read(options.input, options.skeleton)
    if options.image_size is None:
        return tracks
    width, height = options.image_size
    if min(width, height) <= 0:
        raise ValueError(f"`image-size` must be above 0. Received: {width} {height}.")
    return dataclasses.replace(tracks, image_size=(width, height))


def _viewpoint(
    options: argparse.Namespace, tracks: tracks_2d.Tracks2D
) -> viewpoints.Viewpoint | None:
    for option, owner in (("camera", "calibration"), ("distortion", "intrinsics")):
        if getattr(options, option) and getattr(options, owner) is None:
            given = getattr(options, option)
            raise ValueError(f"`{option}` must come with --{owner}. Received: {given} alone.")
    if options.fov is not None:
        if tracks.image_size is None:
            raise ValueError("`image-size` must be given with --fov. Received: nothing.")
        return viewpoints.from_field_of_view(options.fov, tracks.image_size)
    if options.intrinsics is not None:
        focal_x, focal_y, center_x, center_y = options.intrinsics
        lens = tuple(options.distortion)
        return viewpoints.from_intrinsics(focal_x, focal_y, center_x, center_y, lens)
    if options.calibration is not None:
        calibrated = importlib.import_module("keras_mvlift.calibrated_viewpoints")
        return calibrated.read(options.calibration, options.camera)
    return None


def _model(options: argparse.Namespace, viewpoint: viewpoints.Viewpoint | None) -> inference.Lifter:
    local = None if options.model is None else inference.load_model(options.model)
    if options.server is None:
        if local is None:
            raise ValueError("`model` must be given, or --server. Received: neither.")
        return local
    if local is None and viewpoint is None:
        rule = "be told by --fov, --intrinsics or --calibration, or --model be given,"
        raise ValueError(f"`camera` must {rule} with --server. Received: neither.")
    # It speaks through libraries that nothing else here needs.
    remote_lifters = importlib.import_module("keras_mvlift.serving.remote_lifters")
    remote: inference.Lifter = remote_lifters.connect(
        options.server, None if local is None else local.description
    )
    return remote


def _require_writable(path: pathlib.Path, force: bool) -> None:
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"`output` must end in {', '.join(ENDINGS)}. Received: {path.name}.")
    if path.exists() and (path.is_dir() or not force):
        raise FileExistsError(f"{path} is there already; `--force` overwrites a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} must be a folder to write {path.name} to.")


def _progress() -> Callable[[list[Any]], Iterable[Any]]:
    """Gives a progress bar, on a terminal and where tqdm is installed."""
    if importlib.util.find_spec("tqdm") is None:
        return iter
    tqdm = importlib.import_module("tqdm").tqdm
    return functools.partial(tqdm, desc="lift", unit="part", disable=None, leave=False)


def _summary(clip: pose_clip.PoseClip) -> str:
    people = "1 person" if len(clip.tracks) == 1 else f"{len(clip.tracks)} people"
    lifted = sum(int(track.is_present.any(axis=1).sum()) for track in clip.tracks)
    shown = f"{people}, {clip.num_frames} frames, {lifted} poses, {clip.space} coordinates"
    return shown if lifted else f"{shown}; nobody was seen well enough"
