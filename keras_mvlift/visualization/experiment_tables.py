"""The tables of experiments as rows of text, and those as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MISSING = "-"

_COLUMNS = {
    "MPJPE, mm": "mpjpe_mm",
    "N-MPJPE, mm": "n_mpjpe_mm",
    "P-MPJPE, mm": "p_mpjpe_mm",
    "PCK at 150 mm": "pck_150",
    "AUC": "auc",
}
_PROTOCOLS = {"Protocol 1, MPJPE, mm": "mpjpe_mm", "Protocol 2, P-MPJPE, mm": "p_mpjpe_mm"}
_WORDS = {"diverged": "diverged", "failed": "failed", "not_applicable": "not on these data"}


class Grid(NamedTuple):
    """A table as text.

    Attributes:
        title: Above it.
        headings: Of its columns, the rows' names included.
        rows: One text per heading.
        is_published: Whether the figures are the paper's, not ours.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]
    is_published: bool


def grids(table: Mapping[str, Any]) -> Iterator[Grid]:
    """Lays out a table of `results.json`: what was measured, then what was published."""
    if table["is_per_action"]:
        for title, figure in _PROTOCOLS.items():
            yield _per_action(table, title, figure)
    else:
        rows = [
            [row["name"], *(_cell(row, row["overall"], figure) for figure in _COLUMNS.values())]
            for row in table["rows"]
        ]
        yield Grid("Measured here", ["", *_COLUMNS], rows, False)
    for part in table["published"]:
        rows = [[name, *map(_plain, values)] for name, values in part["rows"].items()]
        yield Grid(f"As published: {part['title']}", ["", *part["columns"]], rows, True)


def markdown(results: Mapping[str, Any]) -> str:
    """Writes all tables as Markdown.

    Args:
        results: The content of `results.json`.
    """
    blocks = ["# Experiments", "", *(f"- {line}" for line in data_lines(results))]
    text = "\n".join(blocks) + "\n"
    for table in results["tables"]:
        text += f"\n## {table['title']}\n"
        text += f"\n{table['note']}\n" if table["note"] else ""
        for grid in grids(table):
            text += f"\n**{grid.title}**\n\n{_markdown(grid)}"
    return text


def data_lines(results: Mapping[str, Any]) -> list[str]:
    """Says in some lines what was measured on what, and how to read a cell."""
    data, budget = results["data"], results["budget"]
    counts = data.get("counts") or {}
    counted = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items())
    filming = data.get("filming") or {}
    filmed = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in filming.items())
    steps = budget["num_epochs"] * budget["steps_per_epoch"]
    lines = [f"Data: {_source(data)}; {counted or 'nothing measured yet'}."]
    lines += [f"Filmed, where a table says nothing else: {filmed}."] if filmed else []
    return [
        *lines,
        f"Profile {results['profile']}: width {budget['width']}, {steps} steps of "
        f"{budget['batch_size']} pairs; seeds {', '.join(map(str, results['seeds']))}.",
        "A cell is the mean over seeds ± their standard deviation (number of seeds).",
    ]


def _source(data: Mapping[str, Any]) -> str:
    paths = data.get("paths")
    names = f" of {', '.join(path['name'] for path in paths)}" if paths else ""
    return f"{data['source'].replace('_', ' ')}{names}"


def _per_action(table: Mapping[str, Any], title: str, figure: str) -> Grid:
    actions = list(dict.fromkeys(name for row in table["rows"] for name in row["per_action"]))
    rows = [
        [
            row["name"],
            *(_cell(row, row["per_action"].get(action, {}), figure) for action in actions),
            _cell(row, row["mean_over_actions"], figure),
            _cell(row, row["overall"], figure),
        ]
        for row in table["rows"]
    ]
    headings = ["", *actions, "mean over actions", "mean over frames"]
    return Grid(f"Measured here: {title}", headings, rows, False)


def _cell(row: Mapping[str, Any], figures: Mapping[str, Any], name: str) -> str:
    """Writes a figure, and how many seeds gave none."""
    statuses = [cell["status"] for cell in row["cells"]]
    failures = [
        f"{statuses.count(status)} {words}"
        for status, words in _WORDS.items()
        if status in statuses
    ]
    if name not in figures:
        return ", ".join(failures) or MISSING
    value = figures[name]
    deviation = "" if value["spread"] is None else f" ± {value['spread']:.1f}"
    return ", ".join([f"{value['mean']:.1f}{deviation} ({value['seeds']})", *failures])


def _plain(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f}"


def _markdown(grid: Grid) -> str:
    rule = ["---", *("---:" for _ in grid.headings[1:])]
    lines: list[Sequence[str]] = [grid.headings, rule, *grid.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
