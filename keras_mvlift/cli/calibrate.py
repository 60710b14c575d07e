"""Finds or betters the places of a rig's cameras, from the people they see.

`keras-mvlift calibrate lab --refine --output refined.toml`
`keras-mvlift calibrate lab --distance cam1 cam2 3.2 --output calibration.toml`
"""

import argparse
import os
import pathlib

from rich import box, console, table

from keras_mvlift.calibration import extrinsics, observations, reports
from keras_mvlift.datasets.rigs import calibration_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("path", type=pathlib.Path, help="a manifest, or a recording's folder")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the TOML to write")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument(
        "--refine", action="store_true", help="start from the places that the calibration tells"
    )
    task.add_argument(
        "--distance",
        nargs=3,
        action="append",
        metavar=("CAMERA", "CAMERA", "METERS"),
        help="start from nothing but this distance between two cameras; may be given again",
    )
    parser.add_argument("--report", type=pathlib.Path, help="a JSON to write the errors to")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")


def run(options: argparse.Namespace) -> int:
    """Calibrates, prints the errors before and after, and writes the calibration.

    Raises:
        FileExistsError: If a file to be written is there, without `--force`.
        ValueError: If the recordings or an option do not allow to calibrate; says why.
    """
    for target in (options.output, options.report):
        _require_writable(target, options.force)
    known_distance = _distances(options.distance or [])
    recorded = observations.read_recordings(options.path, verbose=True)
    if options.refine:
        if not recorded.calibration.has_extrinsics:
            rule = "`--refine` needs a calibration with places; give a `--distance` instead"
            raise ValueError(f"{rule}. Received: {options.path}.")
        found = extrinsics.refine(recorded.clips)
    else:
        found = extrinsics.estimate(recorded.clips, known_distance, verbose=True)
    print(render(found.report))
    calibration_files.write_toml(options.output, recorded.calibration._replace(camera=found.camera))
    if options.report:
        _write(options.report, found.report.to_json())
    return 0


def render(report: reports.Report) -> str:
    """Writes a report as a table for a plain terminal."""
    columns = (
        *("\ncamera", "before\nmean px", "before\nmedian px", "after\nmean px", "after\nmedian px"),
        *("moved\nm", "turned\ndegrees"),
    )
    grid = table.Table(box=box.ASCII_DOUBLE_HEAD, show_edge=False, pad_edge=False)
    for index, column in enumerate(columns):
        grid.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for camera in (*report.cameras, report.all):
        pixels = (
            f"{error:.2f}"
            for errors in (camera.before, camera.after)
            for error in (errors.mean_px, errors.median_px)
        )
        grid.add_row(camera.name, *pixels, f"{camera.moved_m:.3f}", f"{camera.turned_degrees:.2f}")
    page = console.Console(width=100, color_system=None)
    with page.capture() as written:
        page.print(grid)
    frames = f"{report.num_frames} frames, {report.num_frames_used} of them used"
    return f"{written.get()}Distances of detections from reprojected points; {frames}."


def _distances(given: list[list[str]]) -> dict[tuple[str, str], float]:
    distances = {}
    for first, second, meters in given:
        try:
            distances[first, second] = float(meters)
        except ValueError as error:
            rule = "`--distance` must be two cameras and a number of meters"
            raise ValueError(f"{rule}. Received: {first} {second} {meters}.") from error
    return distances


def _require_writable(path: pathlib.Path | None, force: bool) -> None:
    if path is None:
        return
    if path.exists() and (path.is_dir() or not force):
        raise FileExistsError(f"{path} is there already; `--force` overwrites a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} must be a folder to write {path.name} to.")


def _write(path: pathlib.Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)
