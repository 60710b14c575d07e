"""What `keras-mvlift lift` lifts: 2D joints and the camera that saw them."""

import argparse
import dataclasses
import functools
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from keras_mvlift import errors
from keras_mvlift.cli import lift_options
from keras_mvlift.lifting import tracks_2d, tracks_2d_files, viewpoints


def film(options: argparse.Namespace) -> Any:
    """Opens the video that is the input or belongs to it; None where there is none.

    Raises:
        ValueError: If it cannot be read, an option is for 2D joints only, or the extra `video` is
            not installed.
    """
    is_input = options.input.suffix.lower() in lift_options.VIDEO_ENDINGS
    for name in ("video", "skeleton", "image_size") if is_input else ():
        if getattr(options, name) is not None:
            option = name.replace("_", "-")
            raise ValueError(
                f"`{option}` must come with 2D joints only. Received: {options.input}."
            )
    path = options.input if is_input else options.video
    if not is_input and options.detector_model is not None:
        raise ValueError(f"`detector-model` must come with a video. Received: {options.input}.")
    # Its libraries come with an extra.
    return None if path is None else _module("video").inspect(path)


def read(options: argparse.Namespace, video: Any) -> tracks_2d.Tracks2D:
    """Reads people's 2D joints, or finds a person's in a video.

    Args:
        options: The command's.
        video: Of `film`.

    Raises:
        ValueError: If the input does not do; says why.
    """
    if video is not None and options.input == video.path:
        # Its size is known, so that a camera that does not do is refused before the search.
        viewpoint(options, video.size)
        _warn_of_clock(options, video)
        found: tracks_2d.Tracks2D = _module("person_detector").detect(
            video, progress("detect", video.num_frames), options.detector_model
        )
        return tracks_2d.at_least(found, options.min_confidence or 0.0)
    tracks = tracks_2d_files.read(options.input, options.skeleton, options.min_confidence)
    if video is not None:
        tracks = _of_video(tracks, video)
    return dataclasses.replace(tracks, image_size=_image_size(options) or tracks.image_size)


def _image_size(options: argparse.Namespace) -> tuple[int, int] | None:
    if options.image_size is None:
        return None
    width, height = options.image_size
    if min(width, height) <= 0:
        raise ValueError(f"`image-size` must be above 0. Received: {width} {height}.")
    return width, height


def _warn_of_clock(options: argparse.Namespace, video: Any) -> None:
    if not video.is_steady and options.frame_rate is None:
        rate = f"{video.frame_rate:.4g} per second"
        told = f"The frames come unevenly: taking their mean rate, {rate}."
        warnings.warn(told, errors.InputWarning, stacklevel=2)


def _of_video(tracks: tracks_2d.Tracks2D, video: Any) -> tracks_2d.Tracks2D:
    """Adds what a video tells of 2D joints that do not tell it."""
    return dataclasses.replace(
        tracks,
        image_size=tracks.image_size or video.size,
        frame_rate=tracks.frame_rate or video.frame_rate,
    )


def tells_camera(options: argparse.Namespace) -> bool:
    """Says whether the options tell the camera."""
    return any(
        given is not None for given in (options.fov, options.intrinsics, options.calibration)
    )


def viewpoint(
    options: argparse.Namespace, image_size: tuple[int, int] | None
) -> viewpoints.Viewpoint | None:
    """Makes the camera that the options tell; None where they tell none.

    Args:
        options: The command's.
        image_size: Width and height of the image in which joints were seen, pixels; None where it
            is not known.

    Raises:
        ValueError: If they do not go together or there is no such camera.
    """
    owners = {name: "calibration" for name in ("camera", "unit", "up")} | {
        "distortion": "intrinsics"
    }
    for option, owner in owners.items():
        if getattr(options, option) and getattr(options, owner) is None:
            given = getattr(options, option)
            raise ValueError(f"`{option}` must come with --{owner}. Received: {given} alone.")
    if options.fov is not None:
        if image_size is None:
            raise ValueError("`image-size` must be given with --fov. Received: nothing.")
        return viewpoints.from_field_of_view(options.fov, image_size)
    if options.intrinsics is not None:
        focal_x, focal_y, center_x, center_y = options.intrinsics
        lens = tuple(options.distortion)
        return viewpoints.from_intrinsics(focal_x, focal_y, center_x, center_y, lens)
    if options.calibration is None:
        return None
    told = {"unit": options.unit or "", "up": options.up or ""}
    return viewpoints.read(options.calibration, options.camera, **told)


def warn_of_size(camera: viewpoints.Viewpoint | None, image_size: tuple[int, int] | None) -> None:
    """Warns where the calibration was made with an image of another size than what was seen in."""
    if camera is None or None in (camera.image_size, image_size) or camera.image_size == image_size:
        return
    seen, known = (" x ".join(map(str, size or ())) for size in (image_size, camera.image_size))
    told = (
        f"The image has {seen} pixels, the calibration's {known}: its pixels are taken as theirs."
    )
    warnings.warn(told, errors.InputWarning, stacklevel=2)


def progress(name: str, total: int | None = None) -> Callable[[Any], Iterable[Any]]:
    """Returns a progress bar with the time left, on a terminal and where tqdm is installed."""
    if importlib.util.find_spec("tqdm") is None:
        return iter
    tqdm = importlib.import_module("tqdm").tqdm
    return functools.partial(
        tqdm, desc=name, total=total, unit="frame" if total else "part", disable=None, leave=False
    )


def _module(name: str) -> Any:
    return importlib.import_module(f"keras_mvlift.lifting.{name}")
