"""Lifts people in a video, or their 2D joints in a file, to 3D poses, in a file or a page.

`keras-mvlift lift walk.mp4 --model output --fov 60 --output poses.html`
"""

import argparse
import dataclasses
import importlib
import pathlib
from typing import TYPE_CHECKING, Any

from keras_mvlift import errors
from keras_mvlift.cli import arguments, lift_input
from keras_mvlift.lifting import pose_clip, pose_comparison, smoothing, tracks_2d_files, viewpoints

# TensorFlow is imported only to lift, so that `--help` and what is refused are told at once.
if TYPE_CHECKING:
    from keras_mvlift import inference


def run(options: argparse.Namespace) -> int:
    """Lifts and writes, or leaves nothing; a ValueError or OSError says why. Returns 0."""
    # All that may be refused comes before the model and the detector, which take long.
    video = lift_input.film(options)
    is_film = video is not None and options.input == video.path
    tracks = None if is_film else lift_input.read(options, video)
    if tracks is not None:
        lift_input.viewpoint(options, tracks.image_size)
    model = _model(options)
    tracks = tracks or lift_input.read(options, video)
    if options.detections is not None:
        tracks_2d_files.write_arrays(tracks, options.detections)
    viewpoint = lift_input.viewpoint(options, tracks.image_size)
    lift_input.warn_of_size(viewpoint, tracks.image_size)
    from keras_mvlift.lifting import lift

    clip = lift.lift(
        model,
        tracks,
        viewpoint,
        space=options.space,
        frame_rate=options.frame_rate,
        max_gap=0.0 if options.no_bridge else smoothing.MAX_GAP,
        mends_sides=not options.keep_sides,
        smoother=smoothing.Butterworth() if options.smooth else None,
        height=options.height,
        is_steady=not options.no_steady,
        progress=lift_input.progress("lift"),
    )
    clip = dataclasses.replace(clip, about={"model": options.server or options.model, **clip.about})
    lines: list[str] = []
    if options.reference is not None:
        clip, lines = with_reference(clip, options.reference, viewpoint)
    for path in write(clip, options, video):
        print(errors.visible(f"{path}: {summary(clip)}"))
    for line in (*tracks.notes, *changes(clip), *lines):
        print(errors.visible(line))
    return 0


def _model(options: argparse.Namespace) -> "inference.Lifter":
    from keras_mvlift import inference

    local = None if options.model is None else inference.load_model(options.model)
    if options.server is None:
        if local is None:
            raise ValueError("`model` must be given, or --server. Received: neither.")
        return local
    if local is None and not lift_input.tells_camera(options):
        rule = "be told by --fov, --intrinsics or --calibration, or --model be given,"
        raise ValueError(f"`camera` must {rule} with --server. Received: neither.")
    # It speaks through libraries that nothing else here needs.
    remote_lifters = importlib.import_module("keras_mvlift.serving.remote_lifters")
    remote: inference.Lifter = remote_lifters.connect(
        options.server, None if local is None else local.description
    )
    return remote


def check(options: argparse.Namespace) -> None:
    """Refuses, by a ValueError or OSError, options with which nothing could be written."""
    arguments.require_there("input", options.input)
    if options.model is not None:
        arguments.require_model(options.model)
    paths = {"output": (options.output, lift_input.ENDINGS)}
    if options.detections is not None:
        paths["detections"] = (options.detections, (lift_input.DETECTIONS_ENDING,))
    taken = {options.input.absolute(): "input"}
    for name, (path, endings) in paths.items():
        arguments.require_writable(name, path, endings, options.force)
        other = taken.setdefault(path.absolute(), name)
        if other != name:
            raise ValueError(f"`{name}` must be another file than the {other}. Received: {path}.")
    if options.frame_rate is not None:
        errors.frame_rate(options.frame_rate)
    if options.images is not None and options.images < 0:
        raise ValueError(f"`images` must be at least 0. Received: {options.images}.")
    if options.reference is not None and not options.reference.is_file():
        raise FileNotFoundError(f"{options.reference} must be a file of known poses.")


def write(
    clip: pose_clip.PoseClip, options: argparse.Namespace, video: Any = None
) -> tuple[pathlib.Path, ...]:
    """Writes a clip to the output, which ends in one of `lift_input.ENDINGS`; returns the files.

    Pictures alone show a reference, and the video, of `lift_input.film`, if that is known.
    """
    path = options.output
    ending = path.suffix.lower()
    if ending not in lift_input.PICTURE_ENDINGS:
        lifted = tuple(track for track in clip.tracks if not track.is_reference)
        return pose_clip.write(dataclasses.replace(clip, tracks=lifted), path)
    shown = video is not None and options.images != 0
    (_write_page if ending == ".html" else _write_film)(clip, options, video if shown else None)
    return (path,)


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

    Returns:
        The clip and a line for each of its tracks.

    Raises:
        ValueError: If the file does not do; says why.
    """
    # It needs TensorFlow, which `--help` does not.
    from keras_mvlift.lifting import lift

    reference, has_axes = pose_comparison.read_reference(path, clip, viewpoint)
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
    counts = (
        f"{n} {word}{'s' * (n != 1)}" for n, word in ((clip.num_frames, "frame"), (lifted, "pose"))
    )
    shown = f"{people}, {', '.join(counts)}, {clip.space} coordinates"
    return shown if lifted else f"{shown}; nobody was seen well enough"
