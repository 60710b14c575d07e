"""Checks a rig, and finds or betters the places of its cameras from the people they see.

`keras-mvlift check-rig lab`
`keras-mvlift calibrate lab --refine --output refined.toml`
`keras-mvlift calibrate lab --distance cam1 cam2 3.2 --output calibration.toml`
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mvlift import sources
from keras_mvlift.calibration import extrinsics, observations, reports
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import calibration_files
from keras_mvlift.diagnosis import episodes, moments, report, verdicts
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.geometry import cameras
from keras_mvlift.untrusted import files
from keras_mvlift.visualization import tables


def check(options: argparse.Namespace) -> int:
    """Prints the report; gives 1 if something must be mended before training, else 0.

    A ValueError says what does not do, or cannot be read.
    """
    given = {}
    if options.calibration:
        given["calibration"] = str(pathlib.Path(options.calibration).resolve())
    source = sources.open_path(options.path, options.source, json.dumps(given))
    reports = report.check_source(source, max_frames=options.max_frames)
    tables.show(tables.rig_parts(reports))
    if options.json:
        figures = json.dumps(report.as_data(reports), indent=2, allow_nan=False)
        options.json.write_text(figures + "\n", encoding="utf-8")
    if options.html:
        from keras_mvlift.visualization import rig_report

        files.write_text(options.html, rig_report.render(reports))
    return int(any(rig.has_errors for rig in reports))


def calibrate(options: argparse.Namespace) -> int:
    """Calibrates, prints the errors before and after, and writes the calibration.

    A ValueError says why recordings or options do not allow it, or what was found does not fit.
    """
    known_distance = {(a, b): float(meters) for a, b, meters in options.distance or ()}
    recorded = observations.read_recordings(options.path, verbose=True)
    if options.refine:
        if not recorded.calibration.has_extrinsics:
            rule = "`--refine` needs a calibration with places; give a `--distance` instead"
            raise ValueError(f"{rule}. Received: {options.path}.")
        found = extrinsics.refine(recorded.clips)
    else:
        told = [name for pair in known_distance for name in pair]
        called = recorded.calibration.called(options.path, told).names
        own = dict(zip(called, recorded.calibration.names, strict=True))
        known_distance = {
            (own.get(a, a), own.get(b, b)): meters for (a, b), meters in known_distance.items()
        }
        found = extrinsics.estimate(recorded.clips, known_distance, verbose=True)
    print(render(found.report))
    start = recorded.clips[0].camera if options.refine else None
    for doubt in doubts(recorded.clips, found, start):
        print(f"warning: {doubt}")
    calibration_files.write_toml(options.output, recorded.calibration._replace(camera=found.camera))
    if options.report:
        files.write_text(options.report, found.report.to_json())
    return 0


# The share of frames in which cameras may disagree: pairs must agree on the other 60 %.
MAX_DISAGREEING = 0.4
MAX_MOVED_M = 0.1  # By so much a refinement may move cameras that fitted before.


def doubts(
    clips: Sequence[sequences.MultiViewSequence],
    found: extrinsics.Calibrated,
    start: cameras.Camera | None,
) -> list[str]:
    """Checks a rig that was found against what it saw, as `check-rig` does.

    `start` is what a refinement started from; None without.

    Returns:
        What there is to warn of.

    Raises:
        ValueError: If the cameras still disagree, see other people in too many frames, or were
            moved away from places that fitted.
    """
    told: dict[str, str] = {}
    for camera in (start, found.camera):
        if camera is None:
            continue
        footage = footages.of_sequences([dataclasses.replace(c, camera=camera) for c in clips])
        seen = moments.consensus(footage)
        agreed = float((~seen.is_off.any(axis=0)).mean())
        causes = verdicts.reach(footage).found
        if camera is not start:
            causes = [_or_drift(cause, clips[0], footage) for cause in causes]
        told = {cause.name: f"{cause.sentence} {cause.remedy}" for cause in causes}
        told = told if camera is found.camera else {k: told[k] for k in told if k in _OF_FILMS}
        fits = np.nanmedian(seen.error) < verdicts.UNSUSPICIOUS
        far = found.report.all.moved_m
        is_wrong = any(cause.severity == footages.ERROR for cause in causes)
        reasons = {
            f"the cameras agree in {agreed:.0%} of the frames only": agreed < 1 - MAX_DISAGREEING,
            f"refining would move cameras by {far:.2f} m that fitted": (
                camera is start and fits and far > MAX_MOVED_M
            ),
            "they do not explain what was seen": camera is not start and is_wrong,
        }
        for reason in (reason for reason, holds in reasons.items() if holds):
            rule = f"The cameras' places are not written: {reason}"
            raise ValueError(f"{rule}. {' '.join(told.values())}".strip())
    return list(told.values())


_MAX_ROUNDS = 3


def _or_drift(
    cause: footages.Finding, clip: sequences.MultiViewSequence, footage: footages.Footage
) -> footages.Finding:
    """Looks for a clock that drifts where a constant shift was found.

    Cameras that were found with a drift in what they saw make up for most of it. So they are found
    anew without the offsets that are left, until those change in the course of the recording.
    """
    if cause.name != "time_shift":
        return cause
    views = [footage.camera_names.index(name) for name in cause.cameras]
    first, second = footage.camera_names[:2]
    distance = float(np.linalg.norm(footage.camera.center[0] - footage.camera.center[1]))
    for _ in range(_MAX_ROUNDS):
        seen = moments.consensus(footage)
        offsets = np.zeros((footage.num_views, footage.num_frames), int)
        for view in views:
            for drift, _ in episodes.out_of_step(footage, seen, view):
                return drift
            offsets[view], *_ = episodes.offsets_over_time(footage, seen, view)
        moved = footage.shifted(offsets)
        seen_anew: dict[str, Any] = {"pose_world": None, "confidence": moved.confidence}
        whole = dataclasses.replace(clip, keypoints_2d=moved.keypoints_2d, **seen_anew)
        camera = extrinsics.estimate([whole], {(first, second): distance}).camera
        footage = footage.replace_camera(rotation=camera.rotation, center=camera.center)
    return cause


# Findings about what was filmed, which no other calibration undoes.
_OF_FILMS = ("camera_moved", "camera_frozen", "other_person", "sides_swapped", "time_drift")


def render(report: reports.Report) -> str:
    """Writes a report as a table for a plain terminal."""
    headings = (
        *("\ncamera", "before\nmean px", "before\nmedian px", "after\nmean px", "after\nmedian px"),
        *("moved\nm", "turned\ndegrees"),
    )
    rows = []
    for camera in (*report.cameras, report.all):
        each = (camera.before, camera.after)
        pixels = (f"{px:.2f}" for one in each for px in (one.mean_px, one.median_px))
        cells = [camera.name, *pixels, f"{camera.moved_m:.3f}", f"{camera.turned_degrees:.2f}"]
        rows.append((cells, ""))
    grid = tables.plain_table(headings, rows)
    frames = f"{report.num_frames} frames, {report.num_frames_used} of them used"
    told = f"Distances of detections from reprojected points; {frames}."
    return f"{tables.rendered([grid])}{told}"
