"""Writes experiments as one HTML page: tables, figures, skeletons to turn; it needs no more."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from matplotlib import figure as mpl_figure
from matplotlib import style, ticker

from keras_mvlift import skeletons
from keras_mvlift.visualization import pages, pictures


def render(results: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """Writes `results.json` as an HTML page; equal results give equal pages.

    `figures` are SVG by the name of the table above, as `write_curves` gives them.
    """
    skeleton = skeletons.H36M_17
    sides = [skeletons.side(joint) for joint in skeleton.joints]
    return pages.fill(
        "experiment_report.html",
        lines=data_lines(results),
        tables=[_table(table, figures.get(table["name"])) for table in results["tables"]],
        skeleton=pages.page_data({"bones": skeleton.bones, "sides": sides}),
    )


def _table(table: Mapping[str, Any], figure: str | None) -> dict[str, Any]:
    cases = []
    for case in table["cases"]:
        # The page draws all poses over the first one.
        named = sorted(case["poses"].items(), key=lambda item: item[0] != "true")
        poses = [{"name": name, **pose} for name, pose in named]
        cases.append({**case, "poses": pages.page_data(poses), "named": poses})
    failures = [
        f"{row['name']}, seed {cell['seed']}: {cell['error']}"
        for row in table["rows"]
        for cell in row["cells"]
        if cell["error"]
    ]
    return {
        "name": table["name"],
        "title": table["title"],
        "notes": notes(table),
        "grids": [*grids(table)],
        "figure": figure and pages.Markup(figure),
        "cases": cases,
        "errors": failures,
    }


MISSING = "-"
# Of rows that were not run; some tables have dozens.
_MOST_NAMES = 6

_COLUMNS = {
    "MPJPE, mm": "mpjpe_mm",
    "N-MPJPE, mm": "n_mpjpe_mm",
    "P-MPJPE, mm": "p_mpjpe_mm",
    "PCK at 150 mm": "pck_150",
    "AUC": "auc",
    "held-out views, mean px": "held_out_mean_px",
    "held-out views, median mm": "held_out_median_mm",
}
# What is the better the higher, by how its heading begins; errors are the better the lower.
_HIGHER = ("PCK", "AUC")
_JOINT_SHARES = {
    "PCK at 150 mm, 14 joints": "pck_150_14",
    "AUC, 14 joints": "auc_14",
    "PCK at 150 mm, 17 joints": "pck_150",
    "AUC, 17 joints": "auc",
}
_PROTOCOLS = {"Protocol 1, MPJPE, mm": "mpjpe_mm", "Protocol 2, P-MPJPE, mm": "p_mpjpe_mm"}
_WORDS = {"diverged": "diverged", "failed": "failed", "not_applicable": "not on these data"}


class Grid(NamedTuple):
    """A table as text, with a heading for each column, the rows' names included.

    `is_published` tells the paper's figures from ours.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]
    is_published: bool

    @property
    def best(self) -> set[tuple[int, int]]:
        """Rows and columns of the best figures, counted from 0."""
        ranks = [1 if heading.startswith(_HIGHER) else -1 for heading in self.headings[1:]]
        return pages.best_cells(self.rows, [0, *ranks])


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
        rows = [
            [name, *(MISSING if value is None else f"{value:.1f}" for value in values)]
            for name, values in part["rows"].items()
        ]
        yield Grid(f"As published: {part['title']}", ["", *part["columns"]], rows, True)


def notes(table: Mapping[str, Any]) -> list[str]:
    """Says what to know when reading a table, and which of its rows were not run."""
    names, count = table["left_out"], len(table["left_out"])
    told = "; ".join(names[:_MOST_NAMES])
    more = f"; and {count - _MOST_NAMES} more, which `--list` names"
    left_out = f"Further rows, not run here: {told}{more if count > _MOST_NAMES else ''}."
    return [note for note in (table["note"], left_out if names else "") if note]


def markdown(results: Mapping[str, Any]) -> str:
    """Writes all tables of `results.json` as Markdown."""
    blocks = ["# Experiments", "", *(f"- {line}" for line in data_lines(results))]
    text = "\n".join(blocks) + "\n"
    for table in results["tables"]:
        text += f"\n## {table['title']}\n"
        text += "".join(f"\n{note}\n" for note in notes(table))
        for grid in grids(table):
            lines = [grid.headings, ["---"] + ["---:"] * len(grid.headings[1:]), *grid.rows]
            text += f"\n**{grid.title}**\n\n"
            text += "".join(f"| {' | '.join(line)} |\n" for line in lines)
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
    files = ", ".join(path["name"] for path in data.get("paths") or ())
    source = data["source"].replace("_", " ") + (f" of {files}" if files else "")
    lines = [f"Data: {source}; {counted or 'nothing measured yet'}."]
    lines += [f"Filmed, where a table says nothing else: {filmed}."] if filmed else []
    return [
        *lines,
        f"Profile {results['profile']}: width {budget['width']}, {steps} steps of "
        f"{budget['batch_size']} pairs{precision}; seeds {', '.join(map(str, results['seeds']))}.",
        "A cell is the mean over seeds ± their standard deviation (number of seeds) and, where "
        "there are several test people, [± the standard deviation over them].",
    ]


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


_PANELS = {"loss": "loss", "mpjpe_mm": "MPJPE of test people, mm"}


def write_curves(results: Mapping[str, Any], folder: pathlib.Path) -> dict[str, str]:
    """Draws curves of tables as `<name>.png` and `<name>.svg`; returns the SVG of each by name."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for table in results["tables"]:
        has_points = any(row["cells"] and row["cells"][0]["curve"] for row in table["rows"])
        if table["has_curves"] and has_points:
            path = folder / table["name"]
            with style.context(pictures.PLOT_STYLE):
                figure = epochs(table)
                figure.savefig(path.with_suffix(".png"), dpi=pictures.DOTS_PER_INCH)
            drawn[table["name"]] = pictures.svg(figure)
            path.with_suffix(".svg").write_text(drawn[table["name"]], encoding="utf-8")
    return drawn


def epochs(table: Mapping[str, Any]) -> mpl_figure.Figure:
    """Draws loss and error of each row's first seed after each epoch, both on log scales.

    Epochs of pre-training, whose loss is another, are numbered up to 0 and have no loss drawn.
    """
    size = (5.0 * len(_PANELS), 3.6)
    figure = mpl_figure.Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(_PANELS))
    for index, row in enumerate(table["rows"]):
        curve = row["cells"][0]["curve"] if row["cells"] else []
        # Two lines of each color, which differ in their dashes.
        color = pictures.COLORS[index // 2 % len(pictures.COLORS)]
        looks = {"color": color, "linestyle": ("-", "--")[index % 2]}
        num_before = sum(entry["stage"] == "pretrain" for entry in curve)
        for panel, name in zip(panels, _PANELS, strict=True):
            points = [
                (number - num_before, entry[name])
                for number, entry in enumerate(curve, 1)
                if name != "loss" or entry["stage"] != "pretrain"
            ]
            if points:
                panel.plot(*zip(*points, strict=True), label=row["name"], linewidth=1.6, **looks)
    for panel, label in zip(panels, _PANELS.values(), strict=True):
        panel.set(xlabel="epoch", ylabel=label, yscale="log")
        panel.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        # The default labels are formulae, which the style leaves as they are.
        panel.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        panel.yaxis.set_minor_formatter(ticker.LogFormatter(minor_thresholds=(2, 0.5)))
    panels[0].legend(fontsize=8)
    return figure
