"""What `keras-mvlift lift` can be told, and what it lifts: 2D joints and who saw them."""

import argparse
import dataclasses
import functools
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from keras_mvlift import errors, skeletons
from keras_mvlift.cli import arguments
from keras_mvlift.lifting import detected_tracks, pose_clip, tracks_2d, tracks_2d_files, viewpoints

VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm")
"""As `video.ENDINGS`, which only the extra `video` can say."""

PICTURE_ENDINGS = (".html", ".mp4", ".gif")
"""Of what is to be looked at."""

ENDINGS = (*pose_clip.ENDINGS, *PICTURE_ENDINGS)
"""Of all that can be written."""

DETECTIONS_ENDING = ".npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    videos, seen = ", ".join(VIDEO_ENDINGS), ", ".join(tracks_2d_files.ENDINGS)
    told = f"A video ({videos}), in which MediaPipe finds one person; or 2D joints: a folder of "
    arguments.path(parser, "input", f"{told}OpenPose's JSON, or a file ({seen}).")
    parser.add_argument("--model", help=f"The model: {arguments.MODEL}.")
    told = (
        "Lift by TensorFlow Serving, grpc://HOST[:PORT][/MODEL] or http://... With it --model "
        "tells the camera of training and a temporal model's frames, and may be left out."
    )
    parser.add_argument("--server", metavar="ADDRESS", help=told)
    arguments.path(parser, "--output", f"The file: {', '.join(ENDINGS)}.", required=True)
    arguments.flag(parser, "--force", "Overwrite files that are there.")
    _add_input(parser.add_argument_group("input, where it does not tell"))
    _add_camera(parser.add_argument_group("camera, by default one like those of training"))
    _add_result(parser.add_argument_group("result"))
    _add_pictures(parser.add_argument_group("video"))


def _decimal(group: Any, name: str, metavar: Any, told: str, **more: Any) -> None:
    arguments.number(group, name, told, type=float, metavar=metavar, **more)


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--skeleton", choices=skeletons.SKELETONS, help="The joint set.")
    told = "Joints less sure count as not seen. By default "
    told += f"{detected_tracks.MIN_CONFIDENCE:g} in detectors' files, else 0."
    _decimal(group, "--min-confidence", "C", told)
    _decimal(group, "--frame-rate", "HZ", "Frames per second.")
    told = "The size of the image in which joints were seen, pixels."
    arguments.number(group, "--image-size", told, nargs=2, metavar=("WIDTH", "HEIGHT"))


def _add_camera(group: argparse._ArgumentGroup) -> None:
    camera = group.add_mutually_exclusive_group()
    _decimal(camera, "--fov", "DEGREES", "Its horizontal field.")
    _decimal(camera, "--intrinsics", ("FX", "FY", "CX", "CY"), "In pixels.", nargs=4)
    told = "A rig's calibration, or its rig.yaml."
    arguments.path(camera, "--calibration", told, metavar="FILE")
    group.add_argument("--camera", metavar="NAME", help="Which of the calibration's it is.")
    group.add_argument("--unit", choices=errors.UNITS, help="The unit of the calibration.")
    told = "The calibration's axis that is up: z, y, -y and so on."
    group.add_argument("--up", metavar="AXIS", help=told)
    told = "With --intrinsics: OpenCV's k1 k2 p1 p2 k3, or the first of them."
    _decimal(group, "--distortion", "K1", told, nargs="+", default=[])


def _add_result(group: argparse._ArgumentGroup) -> None:
    told = "Whose axes. By default the most that the camera tells."
    group.add_argument("--space", choices=pose_clip.SPACES, help=told)
    told = "Leave joints out that were not seen for a few frames, instead of joining the ends."
    arguments.flag(group, "--no-bridge", told)
    told = "Leave legs and arms that jump to the other side and back where they were detected."
    arguments.flag(group, "--keep-sides", told)
    told = "Smooth over time, without delay (Butterworth, 4 Hz)."
    arguments.flag(group, "--smooth", told)
    told = "How tall people are, one number for all or one for each; scales poses and places."
    _decimal(group, "--height", "METERS", told, nargs="+")
    told = "Leave sizes and distances as each frame has them, instead of one size for all."
    arguments.flag(group, "--no-steady", told)
    told = "Known poses in the calibration's world. The error is printed, and shown in pages."
    arguments.path(group, "--reference", told, metavar="FILE.trc")


def _add_pictures(group: argparse._ArgumentGroup) -> None:
    told = (
        "What finds people: a .tflite of MediaPipe's landmarks, such as the heavy ones, or the "
        "model.json of MoveNet MultiPose, which finds several. By default MediaPipe's own."
    )
    arguments.path(group, "--detector-model", told, metavar="FILE")
    told = "Keep the 2D joints, to be lifted again without looking for them."
    arguments.path(group, "--detections", told, metavar=f"FILE{DETECTIONS_ENDING}")
    told = "What to show below 2D joints that INPUT holds. Where INPUT is a video it is shown."
    arguments.path(group, "--video", told, metavar="FILE")
    told = "The most of the video's frames in a page. By default 300; 0 for none."
    arguments.number(group, "--images", told)


def film(options: argparse.Namespace) -> Any:
    """Opens the video that is the input or belongs to it; None where there is none.

    A ValueError says that it cannot be read, that an option is for 2D joints only, or that the
    extra `video` is not installed.
    """
    is_input = options.input.suffix.lower() in VIDEO_ENDINGS
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
    """Reads people's 2D joints, or finds a person's in a video, of `film`.

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
    size, rate = _image_size(options) or tracks.image_size, tracks.frame_rate
    if video is not None:
        # It tells what 2D joints may not.
        size, rate = size or video.size, rate or video.frame_rate
        # Some count from 1.
        if (last := tracks.first_frame + tracks.num_frames - 1) > video.num_frames:
            told = (
                f"The joints reach to frame {last}, the video has {video.num_frames}: are they its?"
            )
            warnings.warn(told, errors.InputWarning, stacklevel=2)
    return dataclasses.replace(tracks, image_size=size, frame_rate=rate)


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


def tells_camera(options: argparse.Namespace) -> bool:
    """Says whether the options tell the camera."""
    return any(
        given is not None for given in (options.fov, options.intrinsics, options.calibration)
    )


def viewpoint(
    options: argparse.Namespace, image_size: tuple[int, int] | None
) -> viewpoints.Viewpoint | None:
    """Makes the camera that the options tell, for images of this size; None where they tell none.

    A ValueError says that they do not go together, or that there is no such camera.
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
