"""Prints the check of a rig; docs/check_rig.md says what is in it."""

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import numpy as np
from rich import console, table, text

from keras_mvlift.diagnosis import findings, report
from keras_mvlift.visualization import tables

NOTHING = "Nothing wrong found."

_STYLES = {findings.ERROR: "bold red", findings.WARNING: "yellow"}
_MAX_CLIPS = 3


def render(reports: Sequence[report.RigReport], width: int = tables.WIDTH) -> str:
    """Writes reports as plain text of so many columns."""
    return tables.rendered(_parts(reports), width)


def show(reports: Sequence[report.RigReport], file: TextIO | None = None) -> None:
    """Prints reports: in color on a terminal, plainly to a file or pipe."""
    tables.printed(_parts(reports), file)


def headline(rig: report.RigReport) -> str:
    """Says in a line how many things are wrong with a rig."""
    counts = [
        (sum(finding.severity == severity for finding in rig.found), severity)
        for severity in (findings.ERROR, findings.WARNING)
    ]
    told = [f"{count} {kind}{'s' if count > 1 else ''}" for count, kind in counts if count]
    return f"{' and '.join(told)} found." if told else NOTHING


def subject(rig: report.RigReport) -> str:
    """Says in a line what was looked at."""
    clips = ", ".join(rig.clips[:_MAX_CLIPS])
    more = len(rig.clips) - _MAX_CLIPS
    clips += f" and {more} more" if more > 0 else ""
    footage = rig.footage
    return (
        f"{footage.num_views} cameras, {footage.num_frames} frames at "
        f"{footage.frame_rate:g} Hz of {clips}"
    )


def person(rig: report.RigReport) -> str:
    """Says in a line who was seen, and from where."""
    measured = rig.as_read if rig.after is None else rig.after
    near, far = np.nanmin(measured.distance), np.nanmax(measured.distance)
    height = (
        f"{measured.height:.2f} m tall" if np.isfinite(measured.height) else "of unknown height"
    )
    once = " once mended" if rig.after is not None else ""
    return f"The person is {height}, {near:.1f} to {far:.1f} m from the cameras{once}."


def rows(rig: report.RigReport) -> tuple[list[str], list[list[str]]]:
    """Returns the table of cameras: headings, and a row for each."""
    data = report.as_data([rig])["rigs"][0]
    measured = data["as_read"] if data["corrected"] is None else data["corrected"]
    headings = [
        "Camera",
        "Reproj.\npx",
        "90 %\npx",
        "Left out\npx",
        "Epipolar\npx",
        "Bias\npx",
        "Confi-\ndence",
        "Frames\nlost %",
        "Late\nframes",
        "Distance\nm",
    ]
    return headings, [_row(name, values) for name, values in measured["cameras"].items()]


def _row(name: str, values: dict[str, Any]) -> list[str]:
    lost = values["nobody_share"] + values["too_few_joints_share"]
    return [
        name,
        _number(values["reprojection_px"]["median"]),
        _number(values["reprojection_px"]["p90"]),
        _number(values["leave_one_out_px"]["median"]),
        _number(values["epipolar_px"]),
        _number(float(np.hypot(*values["bias_px"]))),
        _number(values["mean_confidence"], 2),
        _number(100 * lost),
        _number(values["time_offset"]["frames"], 2),
        _number(values["distance_m"], 2),
    ]


def _number(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "-"
    # Not "-0.0".
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _parts(reports: Sequence[report.RigReport]) -> tables.Parts:
    for number, rig in enumerate(reports):
        if number:
            yield text.Text(), False
        yield from ((part, False) for part in _about(rig))


def _about(rig: report.RigReport) -> Iterator[console.RenderableType]:
    yield text.Text(subject(rig))
    yield text.Text(person(rig))
    yield text.Text()
    yield _table(rig)
    yield text.Text()
    if not rig.found:
        yield text.Text(NOTHING, "green")
    for finding in rig.found:
        label = text.Text(f"{finding.severity}: {finding.name}", _STYLES[finding.severity])
        yield label
        yield text.Text(f"  {finding.sentence}")
        yield text.Text(f"  {finding.remedy}", "dim")


def _table(rig: report.RigReport) -> table.Table:
    headings, cells = rows(rig)
    page = tables.plain_table()
    page.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        page.add_column(heading, justify="right")
    for row in cells:
        page.add_row(*map(text.Text, row))
    return page
