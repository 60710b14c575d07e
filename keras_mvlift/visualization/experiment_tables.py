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
    "held-out views, mean px": "held_out_mean_px",
    "held-out views, median mm": "held_out_median_mm",
}
_JOINT_SHARES = {
    "PCK at 150 mm, 14 joints": "pck_150_14",
    "AUC, 14 joints": "auc_14",
    "PCK at 150 mm, 17 joints": "pck_150",
    "AUC, 17 joints": "auc",
}
_SCORES = {
    "mean, px": "held_out_mean_px",
    "median, px": "held_out_median_px",
    "mean, mm": "held_out_mean_mm",
    "median, mm": "held_out_median_mm",
}
SCORE_TITLE = "Score without labels: errors in held-out views against MPJPE"
SCORE_NOTE = (
    "A pose lifted from one view is reprojected into the others. Over all cells above that were "
    "tested on the same data, however they were trained: does the error in those views, for which "
    "nothing needs a label, tell of the error in 3D?"
)
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
        columns = _JOINT_SHARES if table.get("has_joint_shares") else _COLUMNS
        rows = [
            [row["name"], *(_cell(row, row["overall"], figure) for figure in columns.values())]
            for row in table["rows"]
        ]
        yield Grid("Measured here", ["", *columns], rows, False)
    for part in table["published"]:
        rows = [[name, *map(_plain, values)] for name, values in part["rows"].items()]
        yield Grid(f"As published: {part['title']}", ["", *part["columns"]], rows, True)


def notes(table: Mapping[str, Any]) -> list[str]:
    """Says what to know when reading a table, and which of its rows were not run."""
    left_out = f"Further rows, not run here: {', '.join(table['left_out'])}."
    return [note for note in (table["note"], left_out if table["left_out"] else "") if note]


def score_grids(results: Mapping[str, Any]) -> Iterator[Grid]:
    """Lays out how the score without labels and MPJPE correlate, for each test set."""
    for number, group in enumerate(results["score_without_labels"], 1):
        rows = [
            [
                label,
                *(_correlation(group["scores"][name][kind]) for kind in ("pearson", "spearman")),
            ]
            for label, name in _SCORES.items()
        ]
        title = f"Test set {number}: {len(group['cells'])} cells"
        yield Grid(title, ["error in held-out views", "Pearson", "Spearman"], rows, False)


def markdown(results: Mapping[str, Any]) -> str:
    """Writes all tables as Markdown.

    Args:
        results: The content of `results.json`.
    """
    blocks = ["# Experiments", "", *(f"- {line}" for line in data_lines(results))]
    text = "\n".join(blocks) + "\n"
    for table in results["tables"]:
        text += f"\n## {table['title']}\n"
        text += "".join(f"\n{note}\n" for note in notes(table))
        text += "".join(map(_markdown, grids(table)))
    if results["score_without_labels"]:
        text += f"\n## {SCORE_TITLE}\n\n{SCORE_NOTE}\n"
        text += "".join(map(_markdown, score_grids(results)))
    return text


def data_lines(results: Mapping[str, Any]) -> list[str]:
    """Says in some lines what was measured on what, and how to read a cell."""
    data, budget = results["data"], results["budget"]
    counts = data.get("counts") or {}
    counted = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items())
    filming = data.get("filming") or {}
    filmed = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in filming.items())
    steps = budget["num_epochs"] * budget["steps_per_epoch"]
    reckoned = budget.get("precision", "float32")
    precision = "" if reckoned == "float32" else f" in {reckoned}"
    lines = [f"Data: {_source(data)}; {counted or 'nothing measured yet'}."]
    lines += [f"Filmed, where a table says nothing else: {filmed}."] if filmed else []
    return [
        *lines,
        f"Profile {results['profile']}: width {budget['width']}, {steps} steps of "
        f"{budget['batch_size']} pairs{precision}; seeds {', '.join(map(str, results['seeds']))}.",
        "A cell is the mean over seeds ± their standard deviation (number of seeds) and, where "
        "there are several test people, [± the standard deviation over them].",
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
    of_people = value.get("people_spread")
    people = "" if of_people is None else f" [± {of_people:.1f}]"
    return ", ".join([f"{value['mean']:.1f}{deviation} ({value['seeds']}){people}", *failures])


def _plain(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f}"


def _correlation(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


def _markdown(grid: Grid) -> str:
    rule = ["---", *("---:" for _ in grid.headings[1:])]
    lines: list[Sequence[str]] = [grid.headings, rule, *grid.rows]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"\n**{grid.title}**\n\n{table}"
