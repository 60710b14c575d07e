"""What `keras-mvlift lift` writes and tells."""

import argparse
import dataclasses
import importlib
import pathlib
from typing import TYPE_CHECKING, Any

from keras_mvlift import errors
from keras_mvlift.cli import arguments, lift_input, lift_options
from keras_mvlift.lifting import pose_clip, viewpoints

if TYPE_CHECKING:
    from keras_mvlift.lifting import reference_poses


def check(options: argparse.Namespace) -> None:
    """Refuses options with which nothing could be lifted or written in the end.

    Raises:
        ValueError: If a path's ending is of no format, or two are the same.
        OSError: If a path is there and not to be replaced, or its folder is not, or the input, the
            model or the reference is not there.
    """
    arguments.require_there("input", options.input)
    if options.model is not None:
        arguments.require_model(options.model)
    paths = {"output": (options.output, lift_options.ENDINGS)}
    if options.detections is not None:
        paths["detections"] = (options.detections, (lift_options.DETECTIONS_ENDING,))
    taken = {options.input.absolute(): "input"}
    for name, (path, endings) in paths.items():
        arguments.require_writable(name, path, endings, options.force)
        other = taken.setdefault(path.absolute(), name)
        if other != name:
            raise ValueError(f"`{name}` must be another file than the {other}. Received: {path}.")
    if options.frame_rate is not None and not options.frame_rate > 0:
        raise errors.ArgumentError("frame_rate", "be a number above 0", options.frame_rate)
    if options.images is not None and options.images < 0:
        raise ValueError(f"`images` must be at least 0. Received: {options.images}.")
    if options.reference is not None and not options.reference.is_file():
        raise FileNotFoundError(f"{options.reference} must be a file of known poses.")


def write(
    clip: pose_clip.PoseClip, options: argparse.Namespace, video: Any = None
) -> tuple[pathlib.Path, ...]:
    """Writes a clip to the output, which ends in one of `lift_options.ENDINGS`.

    Args:
        clip: What was lifted, and maybe a reference, which only pictures show.
        options: The command's.
        video: What it was lifted from, of `lift_input.film`; None if that is not known.

    Returns:
        The files that were written.
    """
    path = options.output
    ending = path.suffix.lower()
    if ending not in lift_options.PICTURE_ENDINGS:
        return pose_clip.write(_lifted(clip), path)
    shown = video is not None and options.images != 0
    (_write_page if ending == ".html" else _write_film)(clip, options, video if shown else None)
    return (path,)


def _lifted(clip: pose_clip.PoseClip) -> pose_clip.PoseClip:
    tracks = tuple(track for track in clip.tracks if not track.is_reference)
    return dataclasses.replace(clip, tracks=tracks)


def _write_page(clip: pose_clip.PoseClip, options: argparse.Namespace, video: Any) -> None:
    viewer = importlib.import_module("keras_mvlift.visualization.pages")
    images = None
    if video is not None:
        pictures = importlib.import_module("keras_mvlift.lifting.video")
        images = pictures.addresses(
            video,
            clip.num_frames,
            first_frame=clip.first_frame,
            max_images=pictures.MAX_IMAGES if options.images is None else options.images,
            progress=lift_input.progress("images", video.num_frames),
        )
    viewer.write_viewer(clip, options.output, title=options.input.name, images=images)


def _write_film(clip: pose_clip.PoseClip, options: argparse.Namespace, video: Any) -> None:
    movie = importlib.import_module("keras_mvlift.visualization.pose_movie")
    images = None
    if video is not None:
        images = importlib.import_module("keras_mvlift.lifting.video").Reel(video, clip.first_frame)
    shown = lift_input.progress("film")
    movie.write(clip, options.output, title=options.input.name, progress=shown, images=images)


def with_reference(
    clip: pose_clip.PoseClip, path: pathlib.Path, viewpoint: viewpoints.Viewpoint | None
) -> tuple[pose_clip.PoseClip, list[str]]:
    """Adds a reference to a clip where it is in the same axes, and tells how far off it is.

    Args:
        clip: What was lifted.
        path: The reference's file.
        viewpoint: The camera; None where it is not known.

    Returns:
        The clip and a line for each of its tracks.

    Raises:
        ValueError: If the file does not do; says why.
    """
    # It needs TensorFlow, which `--help` does not.
    from keras_mvlift.lifting import lift, reference_poses

    reference, has_axes = reference_poses.read(path, clip, viewpoint)
    if clip.space == "world":
        lift.warn_of_world(reference.pose, clip.joint_names, f"poses in {path.name}")
    lines = []
    for track in clip.tracks:
        errors = reference_poses.compare(track, reference, clip, has_axes=has_axes)
        counted = f"{len(errors.joints)} joints in {errors.num_frames} frames"
        lines.append(f"{track.name} against {path.name}, {counted}: {_numbers(errors)}")
    if has_axes:
        clip = dataclasses.replace(clip, tracks=(*clip.tracks, reference))
    return clip, lines


def _numbers(errors: "reference_poses.Errors") -> str:
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
    shown = f"{people}, {clip.num_frames} frames, {lifted} poses, {clip.space} coordinates"
    return shown if lifted else f"{shown}; nobody was seen well enough"
