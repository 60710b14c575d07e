"""Lifts people in a video, or their 2D joints in a file, to 3D poses, in a file or a page.

`keras-mvlift lift walk.mp4 --model output --fov 60 --output poses.html`
"""

import argparse
import dataclasses
import functools
import importlib.util
import pathlib
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.cli import arguments
from keras_mvlift.lifting import (
    detected_tracks,
    pose_clip,
    pose_comparison,
    smoothing,
    tracks_2d,
    tracks_2d_files,
    viewpoints,
)

# TensorFlow is imported only to lift, so that `--help` and what is refused are told at once; what
# films and draws comes with extras.
if TYPE_CHECKING:
    from keras_mvlift import inference

# Of files that are taken for videos.
VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm")
# Of what is to be looked at, and of all that can be written.
PICTURE_ENDINGS = (".html", ".mp4", ".gif")
ENDINGS = (*pose_clip.ENDINGS, *PICTURE_ENDINGS)
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


def run(options: argparse.Namespace) -> int:
    """Lifts and writes, or leaves nothing; a ValueError or OSError says why. Returns 0."""
    # All that may be refused comes before the model and the detector, which take long.
    video = film(options)
    is_film = video is not None and options.input == video.path
    tracks = None if is_film else read(options, video)
    if tracks is not None:
        viewpoint(options, tracks.image_size)
    model = _model(options)
    tracks = tracks or read(options, video)
    if options.detections is not None:
        tracks_2d_files.write_arrays(tracks, options.detections)
    seen_from = viewpoint(options, tracks.image_size)
    warn_of_size(seen_from, tracks.image_size)
    from keras_mvlift.lifting import lift

    told = [name for name in _TOLD if getattr(options, name, None) is None]
    with errors.told_by(options.input, told):
        clip = lift.lift(
            model,
            tracks,
            seen_from,
            space=options.space,
            frame_rate=options.frame_rate,
            max_gap=0.0 if options.no_bridge else smoothing.MAX_GAP,
            mends_sides=not options.keep_sides,
            smoother=smoothing.Butterworth() if options.smooth else None,
            height=options.height,
            is_steady=not options.no_steady,
            progress=progress("lift"),
        )
        asked = options.min_confidence
        _require_poses(clip, lift.MIN_JOINTS, tracks.min_confidence if asked is None else asked)
    clip = dataclasses.replace(clip, about={"model": options.server or options.model, **clip.about})
    lines: list[str] = []
    if options.reference is not None:
        clip, lines = with_reference(clip, options.reference, seen_from)
    for path in write(clip, options, video):
        print(errors.visible(f"{path}: {summary(clip)}"))
    for line in (*tracks.notes, *changes(clip), *lines):
        print(errors.visible(line))
    return 0


# What 2D joints tell, unless an option does.
_TOLD = ("people", "keypoints_2d", "joint_names", "frame_rate", "first_frame", "image_size")


def _require_poses(clip: pose_clip.PoseClip, min_joints: int, least: float) -> None:
    """Refuses, by an ArgumentError, a clip in which nobody was seen well enough in any frame."""
    if any(track.is_present.any() for track in clip.tracks):
        return
    each = (track.keypoint_confidence for track in clip.tracks)
    seen = [np.count_nonzero(sure, axis=-1).max() for sure in each if sure is not None]
    limit = f" sure to {least:g} or more (--min-confidence)" if least else ""
    rule = f"be seen with {min_joints} of {len(clip.joint_names)} joints{limit} in a frame"
    raise errors.ArgumentError("people", rule, f"{max(seen)} at most")


def _model(options: argparse.Namespace) -> "inference.Lifter":
    from keras_mvlift import inference

    local = None if options.model is None else inference.load_model(options.model)
    if options.server is None:
        if local is None:
            raise errors.ArgumentError("model", "be given, or --server", "neither")
        return local
    told = (options.fov, options.intrinsics, options.calibration)
    if local is None and all(given is None for given in told):
        rule = "be told by --fov, --intrinsics or --calibration, or --model be given, with --server"
        raise errors.ArgumentError("camera", rule, "neither")
    from keras_mvlift.serving import remote_lifters

    return remote_lifters.connect(options.server, None if local is None else local.description)


def check(options: argparse.Namespace) -> None:
    """Refuses, by a ValueError or OSError, options with which nothing could be written."""
    arguments.require_there("input", options.input)
    if options.model is not None:
        arguments.require_model(options.model)
    paths = {"output": (options.output, ENDINGS)}
    if options.detections is not None:
        paths["detections"] = (options.detections, (DETECTIONS_ENDING,))
    taken = {options.input.absolute(): "input"}
    for name, (path, endings) in paths.items():
        arguments.require_writable(name, path, endings, options.force)
        other = taken.setdefault(path.absolute(), name)
        if other != name:
            raise errors.ArgumentError(name, f"be another file than the {other}", path)
    if options.frame_rate is not None:
        errors.frame_rate(options.frame_rate)
    configs.at_least("images", options.images or 0, 0)
    size = options.image_size or (1, 1)
    errors.require(min(size) > 0, "image-size", "be above 0", " ".join(map(str, size)))
    if options.reference is not None and not options.reference.is_file():
        raise FileNotFoundError(f"{options.reference} must be a file of known poses.")


def write(
    clip: pose_clip.PoseClip, options: argparse.Namespace, film: Any = None
) -> tuple[pathlib.Path, ...]:
    """Writes a clip to the output, which ends in one of `ENDINGS`; returns the files.

    Pictures alone show a reference, and the video, of `film`, if that is known.
    """
    path, title = options.output, options.input.name
    shows: Any = None
    ending = path.suffix.lower()
    if ending not in PICTURE_ENDINGS:
        lifted = tuple(track for track in clip.tracks if not track.is_reference)
        return pose_clip.write(dataclasses.replace(clip, tracks=lifted), path)
    if film is not None and options.images != 0:
        from keras_mvlift.lifting import video

        shows = video
    if ending == ".html":
        from keras_mvlift.visualization import pages

        addresses = shows and shows.addresses(
            film,
            clip.num_frames,
            first_frame=clip.first_frame,
            max_images=shows.MAX_IMAGES if options.images is None else options.images,
            progress=progress("images", film.num_frames),
        )
        pages.write_viewer(clip, path, title=title, images=addresses)
    else:
        from keras_mvlift.visualization import pose_movie

        reel = shows and shows.reel(film, clip.first_frame)
        pose_movie.write(clip, path, title=title, progress=progress("film"), images=reel)
    return (path,)


def with_reference(
    clip: pose_clip.PoseClip, path: pathlib.Path, seen_from: viewpoints.Viewpoint | None
) -> tuple[pose_clip.PoseClip, list[str]]:
    """Adds a reference to a clip where it is in the same axes; returns a line for each track, too.

    A ValueError says why the file does not do.
    """
    from keras_mvlift.lifting import lift

    reference, has_axes = pose_comparison.read_reference(path, clip, seen_from)
    if clip.space == "world":
        lift.warn_of_world(reference.pose, clip.joint_names, f"poses in {path.name}")
    lines = []
    for track in clip.tracks:
        errors = pose_comparison.compare(track, reference, clip, has_axes=has_axes)
        counted = f"{len(errors.joints)} joints in {errors.num_frames} frames"
        lines.append(f"{track.name} against {path.name}, {counted}: {_numbers(errors)}")
    if has_axes:
        clip = dataclasses.replace(clip, tracks=(*clip.tracks, reference))
    return clip, lines


def _numbers(errors: pose_comparison.Errors) -> str:
    after = f"P-MPJPE {errors.p_mpjpe_mm:.1f} mm (after the best turn, shift and scale)"
    if errors.mpjpe_mm is None:
        return f"{after}; for MPJPE the camera's place must be known"
    return f"MPJPE {errors.mpjpe_mm:.1f} mm (pelvis on pelvis), {after}"


def changes(clip: pose_clip.PoseClip) -> list[str]:
    """Says whose sides were mended, and how tall people are and by how much that changed."""
    told = [
        f"{name}: left and right were swapped in {count} of {clip.num_frames} frames and put back"
        for name, count in clip.about.get("swapped_frames", {}).items()
        if count
    ]
    statures, spreads = (clip.about.get(name, {}) for name in ("stature", "stature_spread"))
    return told + [
        f"{name}: {stature:.2f} m tall, as lifted within {spreads[name]:.0%} from frame to frame"
        for name, stature in statures.items()
        if stature is not None and spreads[name] is not None
    ]


def summary(clip: pose_clip.PoseClip) -> str:
    """Says in a line what was lifted."""
    tracks = [track for track in clip.tracks if not track.is_reference]
    people = "1 person" if len(tracks) == 1 else f"{len(tracks)} people"
    lifted = sum(int(track.is_present.any(axis=1).sum()) for track in tracks)
    frames = f"{clip.num_frames} frame{'s' * (clip.num_frames != 1)}"
    poses = f"{lifted} pose{'s' * (lifted != 1)}"
    return f"{people}, {frames}, {poses}, {clip.space} coordinates"


# What is lifted: 2D joints and who saw them.


def film(options: argparse.Namespace) -> Any:
    """Opens the video that is the input or belongs to it; None where there is none.

    A ValueError says that it cannot be read, that an option is for 2D joints only, or that the
    extra `video` is not installed.
    """
    is_input = options.input.suffix.lower() in VIDEO_ENDINGS
    for name in ("video", "skeleton", "image_size") if is_input else ():
        if getattr(options, name) is not None:
            rule = "come with 2D joints only"
            raise errors.ArgumentError(name.replace("_", "-"), rule, options.input)
    path = options.input if is_input else options.video
    if not is_input and options.detector_model is not None:
        raise errors.ArgumentError("detector-model", "come with a video", options.input)
    if path is None:
        return None
    from keras_mvlift.lifting import video

    return video.inspect(path)


def read(options: argparse.Namespace, video: Any) -> tracks_2d.Tracks2D:
    """Reads people's 2D joints, or finds a person's in a video, of `film`.

    A ValueError says why the input does not do.
    """
    if video is not None and options.input == video.path:
        # Its size is known, so that a camera that does not do is refused before the search.
        viewpoint(options, video.size)
        if not video.is_steady and options.frame_rate is None:
            told = f"{video.frame_rate:.4g} per second"
            _warn(f"The frames come unevenly: taking their mean rate, {told}.")
        from keras_mvlift.lifting import person_detector

        shown = progress("detect", video.num_frames)
        found = person_detector.detect(video, shown, options.detector_model)
        return tracks_2d.at_least(found, options.min_confidence or 0.0)
    tracks = tracks_2d_files.read(options.input, options.skeleton, options.min_confidence)
    size = tuple(options.image_size) if options.image_size else tracks.image_size
    rate = tracks.frame_rate
    if video is not None:
        # It tells what 2D joints may not.
        size, rate = size or video.size, rate or video.frame_rate
        # Some count from 1.
        if (last := tracks.first_frame + tracks.num_frames - 1) > video.num_frames:
            told = f"the video has {video.num_frames}: are they its?"
            _warn(f"The joints reach to frame {last}, {told}")
    return dataclasses.replace(tracks, image_size=size, frame_rate=rate)


def viewpoint(
    options: argparse.Namespace, image_size: tuple[int, int] | None
) -> viewpoints.Viewpoint | None:
    """Makes the camera that the options tell, for images of this size; None where they tell none.

    A ValueError says that they do not go together, or that there is no such camera.
    """
    owners = dict.fromkeys(("camera", "unit", "up"), "calibration") | {"distortion": "intrinsics"}
    for option, owner in owners.items():
        given = getattr(options, option)
        if given and getattr(options, owner) is None:
            raise errors.ArgumentError(option, f"come with --{owner}", f"{given} alone")
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
    as_theirs = "its pixels are taken as theirs."
    _warn(f"The image has {seen} pixels, the calibration's {known}: {as_theirs}")


def _warn(told: str) -> None:
    warnings.warn(told, errors.InputWarning, stacklevel=3)


def progress(name: str, total: int | None = None) -> Callable[[Any], Iterable[Any]]:
    """Returns a progress bar with the time left, on a terminal and where tqdm is installed."""
    if importlib.util.find_spec("tqdm") is None:
        return iter
    from tqdm import tqdm

    return functools.partial(
        tqdm, desc=name, total=total, unit="frame" if total else "part", disable=None, leave=False
    )
