"""Lifts people in a video, or their 2D joints in a file, to 3D poses, in a file or a page.

`keras-mvlift lift walk.mp4 --model output --fov 60 --output poses.html`
"""

import argparse
import dataclasses
import importlib
from typing import TYPE_CHECKING

from keras_mvlift import errors
from keras_mvlift.cli import lift_input, lift_output
from keras_mvlift.lifting import smoothing, tracks_2d_files

# TensorFlow is imported only to lift, so that `--help` and what is refused are told at once.
if TYPE_CHECKING:
    from keras_mvlift import inference


def run(options: argparse.Namespace) -> int:
    """Lifts and writes; nothing half-written is left, however it ends.

    Returns:
        0.

    Raises:
        ValueError: If the input, the model or an option does not do; says why.
        OSError: If a file is missing, or the output is there already.
    """
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
        clip, lines = lift_output.with_reference(clip, options.reference, viewpoint)
    for path in lift_output.write(clip, options, video):
        print(errors.visible(f"{path}: {lift_output.summary(clip)}"))
    for line in (*tracks.notes, *lift_output.changes(clip), *lines):
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
