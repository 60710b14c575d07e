"""Reports what is right and wrong with a rig: `keras-mvlift check-rig PATH`."""

import argparse
import json
import pathlib

from keras_mvlift import sources
from keras_mvlift.datasets import sequences
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import report
from keras_mvlift.visualization import rig_report, rig_text

MAX_CLIPS = 20
"""Clips that are read of a source with more, evenly spread."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "path", help="a rig's manifest or its folder, or AIST++'s folder or one of Pose2Sim"
    )
    parser.add_argument("--source", help="read PATH as this source; told from PATH by default")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--html", type=pathlib.Path, metavar="FILE", help="write a page with plots")
    parser.add_argument(
        "--max-frames",
        type=int,
        default=footages.MAX_FRAMES,
        help="frames to look at (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the report; gives 1 if something must be mended before training, else 0.

    Raises:
        ValueError: If the source or an argument does not do, or a file cannot be read.
    """
    reports = report.check(_read(options), options.max_frames)
    rig_text.show(reports)
    if options.json:
        figures = json.dumps(report.as_data(reports), indent=2, allow_nan=False)
        options.json.write_text(figures + "\n", encoding="utf-8")
    if options.html:
        rig_report.write(options.html, reports)
    return int(any(rig.has_errors for rig in reports))


def _read(options: argparse.Namespace) -> list[sequences.MultiViewSequence]:
    source = sources.open_path(options.path, options.source)
    clips = source.clips()
    return [source.read(clips[index]) for index in footages.spread(len(clips), MAX_CLIPS)]
