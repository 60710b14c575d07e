"""Fits a trained model to a rig in closed form, without labels, in seconds.

`keras-mvlift adapt my_rig --model studio --output my_model`
"""

import argparse
import pathlib
from typing import Any

import numpy as np

from keras_mvlift import errors, sources
from keras_mvlift.datasets import aistpp, sequences
from keras_mvlift.datasets.rigs import recordings

MAX_CLIPS = 40  # Of a source with more, so many are read, evenly spread.


def run(options: argparse.Namespace) -> int:
    """Adapts the model, writes it, and prints what that gives; a ValueError or OSError if not."""
    source = sources.open_path(options.path, options.source, options.source_options)
    clips, left_out = _read(source, {*options.leave_out})
    # They import TensorFlow, which takes longer than to refuse a recording.
    from keras_mvlift import inference
    from keras_mvlift.export import compact
    from keras_mvlift.training import adaptation

    layer = compact.LastLayer(inference.load_model(options.model))
    instants = adaptation.parts_of(clips)
    parts = list(adaptation.fed(instants, layer.features))
    steps = adaptation.STEPS if len(clips) > 1 else adaptation.ONE_CLIP_STEPS
    found = adaptation.choose(parts, layer.weights, steps)
    notes = {
        "source": type(source).__name__,
        "choices": source.choices() if hasattr(source, "choices") else [],
        "clips": [clip.name for clip in clips],
        "cameras": sorted({name for clip in clips for name in clip.camera_names}),
        "left_out": left_out,
        "start": options.model,
        **found.summary(parts),
    }
    layer.write(found.weights, {"adapted": notes}, options.output)
    _show(notes, options.output)
    return 0


def _read(
    source: sequences.Source, asked: set[str]
) -> tuple[list[sequences.MultiViewSequence], list[str]]:
    """Reads the clips to fit, and names what is left out, to be tested on."""
    tested = {*asked}
    if isinstance(source, recordings.RigSource):
        tested |= {*source.test_clips()}
    if isinstance(source, aistpp.AISTPPSource):
        tested |= {*source.splits()["test_subjects"]}
    names = [name for name in source.clips() if name not in tested]
    step = max(len(names) / MAX_CLIPS, 1.0)
    chosen = [names[int(index)] for index in np.arange(0, len(names), step)]
    read = [source.read(name) for name in chosen]
    clips = [clip for clip in read if clip.subject not in tested]
    known = {*source.clips()} | {clip.subject for clip in read}
    if (unknown := asked - known) and len(chosen) == len(names):
        rule = "name clips or people of the recording"
        raise errors.ArgumentError("leave_out", rule, ", ".join(sorted(unknown)))
    errors.require(bool(clips), "leave_out", "leave clips to fit", ", ".join(tested))
    return clips, sorted(tested & known)


def _show(notes: dict[str, Any], output: pathlib.Path) -> None:
    clips, cameras = notes["clips"], notes["cameras"]
    kept = ", ".join(notes["left_out"]) or "nothing"
    print(f"fitted on: {len(clips)} clips, {len(cameras)} cameras: {notes['num_views']} views and")
    print(f"  as many virtual ones; left out: {kept}")
    print(f"coverage: {100 * notes['lifted']:.0f} % of the views are lifted, and of their joints")
    print(f"  {100 * notes['triangulated']:.0f} % are triangulated")
    where = "blocks of the one clip" if len(clips) == 1 else "clips"
    before, after = notes["score_mm"]["before"], notes["score_mm"]["after"]
    print(f"score without labels, on {where} that were not fitted:")
    print(f"  {before:.1f} mm before, {after:.1f} mm after")
    print(f"chosen: {notes['chosen']}")
    print(f"{output}: what `load_model` takes; for this rig's detector")
