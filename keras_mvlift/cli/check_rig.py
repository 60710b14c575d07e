"""Reports what is right and wrong with a rig: `keras-mvlift check-rig PATH`."""

import argparse
import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from keras_mvlift import skeletons, sources
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import pose2sim, recordings
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import report
from keras_mvlift.visualization import rig_text

MAX_CLIPS = 20
"""Clips that are read of a source with more, evenly spread."""

_RECORDINGS = (recordings.RigSource, pose2sim.Pose2SimSource)


def run(options: argparse.Namespace) -> int:
    """Prints the report; gives 1 if something must be mended before training, else 0.

    Raises:
        ValueError: If the source or an argument does not do, or a file cannot be read.
    """
    source = _open(options)
    reports = report.check(
        _read(source), options.max_frames, up=_up(source), readings=_readings(source)
    )
    rig_text.show(reports)
    if options.json:
        figures = json.dumps(report.as_data(reports), indent=2, allow_nan=False)
        options.json.write_text(figures + "\n", encoding="utf-8")
    if options.html:
        from keras_mvlift.visualization import rig_report

        rig_report.write(options.html, reports)
    return int(any(rig.has_errors for rig in reports))


def _read(source: sources.Source) -> list[sequences.MultiViewSequence]:
    clips = source.clips()
    return [source.read(clips[index]) for index in footages.spread(len(clips), MAX_CLIPS)]


def _up(source: sources.Source) -> str:
    """Returns the axis that the calibration's file has up; what `calibrate` writes has z."""
    if isinstance(source, recordings.RigSource) and not source.calibration:
        return source.manifest.calibration.up
    return "z"


def _readings(source: sources.Source) -> dict[str, Callable[[], Sequence[Any]]]:
    """Returns readers of the same clips in other joint sets of as many joints."""
    if not isinstance(source, _RECORDINGS):
        return {}
    joints = skeletons.by_name(source.joint_set)
    return {
        name: functools.partial(_read, dataclasses.replace(source, skeleton=name))
        for name, other in skeletons.SKELETONS.items()
        if other.num_joints == joints.num_joints and name != joints.name
    }


def _open(options: argparse.Namespace) -> sources.Source:
    given = {}
    if options.calibration:
        given["calibration"] = str(pathlib.Path(options.calibration).resolve())
    source = sources.open_path(options.path, options.source, json.dumps(given))
    if isinstance(source, _RECORDINGS):
        # A wrong calibration tells people apart wrongly, and would hide what is wrong with it.
        return dataclasses.replace(source, tells_apart=False)
    return source
