"""Writes experiments as one HTML page: tables, figures, skeletons to turn; it needs no more."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jinja2
import markupsafe

from keras_mvlift import skeletons
from keras_mvlift.visualization import experiment_tables, pictures, score_scatter

_TEMPLATE = "experiment_report.html"
_TRUE = "true"
# `json.dumps` leaves these as they are, and a script would end at "</".
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def render(results: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """Writes results as an HTML page.

    Args:
        results: The content of `results.json`.
        figures: Name of a table to the SVG below it, as `curves.write` gives them.

    Returns:
        The page; equal results give equal pages.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        lines=experiment_tables.data_lines(results),
        tables=[
            *(_table(table, figures.get(table["name"])) for table in results["tables"]),
            *_score(results, figures.get(score_scatter.NAME)),
        ],
        skeleton=_script({"bones": _bones(), "colors": _colors()}),
    )


def write(
    path: str | os.PathLike[str], results: Mapping[str, Any], figures: Mapping[str, str]
) -> None:
    """Writes results as an HTML file; see `render`."""
    pathlib.Path(path).write_text(render(results, figures), encoding="utf-8")


def _table(table: Mapping[str, Any], figure: str | None) -> dict[str, Any]:
    return {
        "name": table["name"],
        "title": table["title"],
        "notes": experiment_tables.notes(table),
        "grids": list(experiment_tables.grids(table)),
        "figure": _svg(figure),
        "cases": [_case(case) for case in table["cases"]],
        "errors": [
            f"{row['name']}, seed {cell['seed']}: {cell['error']}"
            for row in table["rows"]
            for cell in row["cells"]
            if cell["error"]
        ],
    }


def _score(results: Mapping[str, Any], figure: str | None) -> list[dict[str, Any]]:
    """Gives a further section in the form of a table's, where there is something to show."""
    section = {
        "name": score_scatter.NAME,
        "title": experiment_tables.SCORE_TITLE,
        "notes": [experiment_tables.SCORE_NOTE],
        "grids": list(experiment_tables.score_grids(results)),
        "figure": _svg(figure),
        "cases": [],
        "errors": [],
    }
    return [section] if results["score_without_labels"] else []


def _svg(figure: str | None) -> markupsafe.Markup | None:
    # What stands before the drawing, the XML declaration and a link to the format, no page wants.
    return None if figure is None else markupsafe.Markup(figure[figure.index("<svg") :])


def _case(case: Mapping[str, Any]) -> dict[str, Any]:
    # The page draws all poses over the first one.
    named = sorted(case["poses"].items(), key=lambda item: item[0] != _TRUE)
    poses = [{"name": name, **pose} for name, pose in named]
    return {"title": case["title"], "view": case["view"], "poses": _script(poses), "named": poses}


def _bones() -> list[list[int]]:
    parents = skeletons.H36M_17.parents
    return [[parent, joint] for joint, parent in enumerate(parents) if parent >= 0]


def _colors() -> list[str]:
    skeleton = skeletons.H36M_17
    sides = {joint: pictures.LEFT for joint in skeleton.left}
    sides |= {joint: pictures.RIGHT for joint in skeleton.right}
    return [sides.get(joint, pictures.MIDDLE) for joint in range(skeleton.num_joints)]


def _script(value: Any) -> markupsafe.Markup:
    text = json.dumps(value, separators=(",", ":"))
    for letter, escaped in _ESCAPES.items():
        text = text.replace(letter, escaped)
    # Every letter that could end the element is escaped above.
    return markupsafe.Markup(text)
