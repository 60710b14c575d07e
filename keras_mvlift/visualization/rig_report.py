"""Writes the check of a rig as one HTML page that needs nothing else."""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import jinja2

from keras_mvlift.diagnosis import findings, measures, report
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.visualization import rig_plots, rig_text

_TEMPLATE = "rig_report.html"
# What is drawn, in the order of the page: caption, drawing, whether it takes the page's width.
_PLOTS = (
    ("Reprojection error of each joint, median, px", rig_plots.joint_errors, True),
    ("Reprojection error over time, px", rig_plots.errors_over_time, True),
    ("Epipolar error of each pair, median, px", rig_plots.pair_errors, False),
    ("Confidence of the detections", rig_plots.confidences, False),
    ("Cameras and the person's path from above", rig_plots.top_view, False),
    ("Time offset: error of a camera moved in time", rig_plots.time_curves, False),
)


def render(reports: Sequence[report.RigReport]) -> str:
    """Writes reports as an HTML page.

    Args:
        reports: The checks, one below the other.

    Returns:
        The page; equal reports give equal pages.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rigs = [_rig(rig, number) for number, rig in enumerate(reports)]
    title = ", ".join(rig_text.headline(rig).rstrip(".") for rig in reports)
    return environment.get_template(_TEMPLATE).render(rigs=rigs, title=title)


def write(path: str | os.PathLike[str], reports: Sequence[report.RigReport]) -> None:
    """Writes reports as an HTML file."""
    pathlib.Path(path).write_text(render(reports), encoding="utf-8")


def _rig(rig: report.RigReport, number: int) -> dict[str, Any]:
    headings, rows = rig_text.rows(rig)
    return {
        "headline": rig_text.headline(rig),
        "subject": rig_text.subject(rig),
        "person": rig_text.person(rig),
        "findings": [_finding(finding) for finding in rig.found],
        "headings": headings,
        "rows": rows,
        "sections": list(_sections(rig, number)),
        "bones": _bones(rig.as_read if rig.after is None else rig.after),
    }


def _finding(finding: findings.Finding) -> dict[str, Any]:
    digits = 1 if finding.unit == "px" else 3
    return {
        "severity": finding.severity,
        "name": finding.name,
        "sentence": finding.sentence,
        "remedy": finding.remedy,
        "before": f"{finding.before:.{digits}f}",
        "after": None if finding.after is None else f"{finding.after:.{digits}f}",
        "unit": finding.unit,
    }


def _sections(rig: report.RigReport, number: int) -> Iterator[dict[str, Any]]:
    if rig.corrected is None or rig.after is None:
        yield _section("Measured", rig.footage, rig.as_read, f"{number}")
    else:
        yield _section("Once mended", rig.corrected, rig.after, f"{number}-after")
        yield _section("As it was read", rig.footage, rig.as_read, f"{number}")


def _section(
    title: str, footage: footages.Footage, measured: measures.Measures, salt: str
) -> dict[str, Any]:
    plots = [
        {"caption": caption, "svg": draw(footage, measured, salt), "is_wide": is_wide}
        for caption, draw, is_wide in _PLOTS
    ]
    return {"title": title, "plots": plots}


def _bones(measured: measures.Measures) -> str:
    lengths = ", ".join(
        f"{name.replace('_', ' ')} {100 * length:.1f}"
        for name, length in measured.bone_lengths.items()
    )
    return f"Length of the bone that ends at each joint, cm: {lengths or 'none known'}."
