"""Prints what `results.json` and the check of a rig say; docs/results.md and docs/check_rig.md."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np
from rich import box, console, padding, table, text

from keras_mvlift.diagnosis import footage, report

WIDTH = 100
"""Columns of a page that is not a terminal's."""

MIN_WIDTH = 80
"""The least columns in which names and numbers have room; a narrower terminal breaks the lines."""

_COLUMNS = {
    "mpjpe_mm": "MPJPE\nmm",
    "n_mpjpe_mm": "N-MPJPE\nmm",
    "p_mpjpe_mm": "P-MPJPE\nmm",
    "pck_150": "PCK@150\n%",
    "auc": "AUC\n%",
}
_BASELINES = {
    "triangulation": "triangu-\nlation\nMPJPE mm",
    "nearest_view": "nearest\nview\nMPJPE mm",
    "constant_pose": "constant\npose\nMPJPE mm",
}
_BASELINE_FIGURE = "mpjpe_mm"

_AVERAGES = {
    "mean_over_actions": "mean over actions",
    "overall": "mean over views",
    "median_over_cameras": "median over cameras",
}
_HEADLINE = "mean_over_actions"
_SLICES = {"per_action": "action", "per_camera": "camera"}

# A rule below the headings, blanks elsewhere, and nothing that a plain terminal cannot show.
_BOX = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


_NOTE = """
Triangulation sees every camera, the model one. Without the model one could
answer with the pose of the nearest training view, or with a constant pose."""

# What preparation counts and leaves out, in the words of a person.
_LEFT_OUT = {
    "unused_frames": "frames by stride or between splits",
    "out_of_sync_cameras": "cameras out of sync",
    "unfollowed_people": "bystanders",
    "unsure_views": "views of people alike",
    "dropped_views": "views with too few joints",
    "dropped_instants": "instants with fewer than two views",
    "instants_without_reference": "instants without a reference",
    "missing_joints": "joints not seen",
    "missing_reference_joints": "joints without a reference",
}

_SPLITS = {"test": "test", "eval": "held-out"}

_LABEL_WIDTH = 11
# Fewer instants to train on say little about poses that they do not show.
_MANY_INSTANTS = 1000
_MAX_CLIPS = 3


def render(results: Mapping[str, Any], width: int = WIDTH) -> str:
    """Writes what `results.json` holds as plain text, without colors.

    It keeps to `width` columns, `MIN_WIDTH` at least, but for long paths and lines of code, which
    are never broken.
    """
    return rendered(_parts(results), max(width, MIN_WIDTH))


def show(results: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Prints what `results.json` holds: in color on a terminal, plainly to a file or pipe."""
    printed(_parts(results), file)


# A part of a page, and whether it goes on beyond the edge instead of being broken.
Parts = Iterable[tuple[console.RenderableType, bool]]


def rendered(parts: Parts, width: int) -> str:
    """Writes a page as plain text of so many columns."""
    page = console.Console(file=io.StringIO(), width=width, color_system=None)
    return "".join(f"{line}\n" for line in _lines(parts, page))


def printed(parts: Parts, file: TextIO | None = None) -> None:
    """Prints a page: in color on a terminal, plainly to a file or pipe."""
    page = console.Console(file=file)
    page.width = max(page.width, MIN_WIDTH) if page.is_terminal else WIDTH
    for line in _lines(parts, page):
        # What the encoding lacks is escaped, so that printing never fails.
        print(line.encode(page.encoding, "backslashreplace").decode(page.encoding), file=page.file)


def plain_table() -> table.Table:
    """Makes a table with a rule below its headings and no other lines."""
    return table.Table(
        box=_BOX, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style=""
    )


def results_table(results: Mapping[str, Any]) -> table.Table:
    """Lays out the model's figures and the baselines' for each average, action and camera."""
    page = plain_table()
    page.add_column("", overflow="fold")
    for heading in ("Views", *_COLUMNS.values(), *_BASELINES.values()):
        page.add_column(heading, justify="right", no_wrap=True)
    for group in _groups(results):
        for name, path in group:
            style = "bold" if path == (_HEADLINE,) else None
            page.add_row(*_cells(results, name, path), style=style)
        page.add_section()
    return page


_CANDIDATES = {
    "adapted": "{start_from}, last layer fitted",
    "started": "{start_from}, trained on",
    "scratch": "trained from random weights",
}


def candidates_table(tried: Mapping[str, Any]) -> table.Table:
    """Lays out what was chosen between: the score that chose, and the errors that did not."""
    page = plain_table()
    page.add_column("Chosen between, by the score", overflow="fold")
    headings = ("held out\nmm, no labels", *list(_COLUMNS.values())[:3])
    for heading in headings:
        page.add_column(heading, justify="right", no_wrap=True)
    for name in (name for name in _CANDIDATES if name in tried["held_out"]):
        cells = [
            tried["held_out"][name]["mean_mm"],
            *(tried["test"][name][key] for key in list(_COLUMNS)[:3]),
        ]
        style = "bold" if name == tried["chosen"] else None
        mark = "* " if style else "  "
        told = mark + _CANDIDATES[name].format(**tried)
        page.add_row(text.Text(told), *map(_number, cells), style=style)
    return page


def _groups(results: Mapping[str, Any]) -> Iterator[list[tuple[str, tuple[str, ...]]]]:
    """Names rows, and where their figures are."""
    yield [(name, (key,)) for key, name in _AVERAGES.items()]
    for key, kind in _SLICES.items():
        yield [(f"{kind} {name}", (key, name)) for name in results[key]]


def _cells(results: Mapping[str, Any], name: str, path: tuple[str, ...]) -> Iterator[text.Text]:
    figures = _at(results, path)
    num_examples = figures.get("num_examples")
    yield text.Text(name)
    yield text.Text("" if num_examples is None else str(num_examples))
    for key in _COLUMNS:
        yield _number(figures.get(key))
    for key in _BASELINES:
        yield _number(_at(results["baselines"].get(key, {}), path).get(_BASELINE_FIGURE))


def _at(figures: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    for key in path:
        figures = figures.get(key, {})
    return figures


def _number(value: float | None) -> text.Text:
    return text.Text("" if value is None else f"{value:.1f}")


def _lines(parts: Parts, page: console.Console) -> list[str]:
    with page.capture() as captured:
        for part, goes_on in parts:
            page.print(part, soft_wrap=goes_on, highlight=False)
    return [line.rstrip() for line in captured.get().splitlines()]


def _parts(results: Mapping[str, Any]) -> Parts:
    yield results_table(results), False
    if "candidates" in results:
        yield text.Text(), False
        yield candidates_table(results["candidates"]), False
    for part in _about(results):
        # A path or a line of code goes on beyond the edge: broken, it could not be copied.
        yield part, isinstance(part, text.Text)


def _about(results: Mapping[str, Any]) -> Iterator[console.RenderableType]:
    """Says what was measured, whether it is good enough, and where everything is."""
    yield text.Text(f"{_NOTE}{_coverage(results)}", "dim")
    yield text.Text()
    if results["blessed"]:
        yield _line("Blessed", f"yes{_kept(results)}", "green")
    else:
        yield _line("Blessed", "no", "bold red")
    for reason in results["reasons"]:
        yield padding.Padding(text.Text(f"- {reason}"), (0, 0, 0, _LABEL_WIDTH))
    yield from _held_out(results)
    data = results["data"]
    clips = ", ".join(data["clips"][:_MAX_CLIPS])
    more = len(data["clips"]) - _MAX_CLIPS
    yield _line("Data", f"{data['source']}: {clips}" + (f" and {more} more" if more > 0 else ""))
    yield _line("", f"{data['train_pairs']} training pairs, {data['test_views']} test views")
    counts = data.get("counts", {})
    left_out = [_counted(counts[key], name) for key, name in _LEFT_OUT.items() if counts.get(key)]
    if left_out:
        yield _line("", f"left out: {', '.join(left_out)}")
    if data.get("lost_clips"):
        yield _line("", f"not usable: {data['lost_clips']} clips, listed in {data['dead_letters']}")
    if data["data_root"]:
        yield _line("", f"from {data['data_root']}")
    yield from _spans(results)
    yield from _rig(results)
    if "reference" in data:
        known = data.get("reference_coverage", 100.0)
        share = "" if known == 100.0 else f", {known:.1f} % of the joints"
        yield _line("Reference", data["reference"] + share)
    if "tuned" in results:
        tuned = ", ".join(f"{name} {value:.3g}" for name, value in sorted(results["tuned"].items()))
        yield _line("Tuned", tuned)
    yield _line("Recipe", f"{results['recipe']}, seed {results['seed']}")
    yield from _scope(data)
    yield from _model(results)
    yield _line("Picture", results["picture"])
    yield _line("Results", results["results"])
    yield _line("Log", results["log"])


def _counted(number: int, words: str) -> str:
    """Returns a number of things; their first word is a plural in `s`."""
    first, *others = words.split(" ")
    return " ".join([str(number), first.removesuffix("s") if number == 1 else first, *others])


def _model(results: Mapping[str, Any]) -> Iterator[text.Text]:
    """Says where the model is, and what one does with it."""
    yield _line("Model", results["model"] or f"not pushed; kept in {results['trained']}")
    if not results["blessed"]:
        hint = "more people and motions make it better; the settings' `bounds` decide what is"
        yield _line("", f"{hint} pushed")
    if results["model"]:
        yield _line("Python", f'model = keras_mvlift.load_model("{results["model"]}")')
        yield _line("", "pose = model.lift(keypoints_2d, confidence, camera=intrinsics)")


def _scope(data: Mapping[str, Any]) -> Iterator[text.Text]:
    """Says for whom a model is good that has seen little."""
    people, instants = data["train_people"], data["train_instants"]
    if people > 1 and instants >= _MANY_INSTANTS:
        return
    whom = "the person" if people == 1 else f"the {people} people"
    line = f"{whom} trained on, in poses like those of the {instants} training instants"
    yield _line("Good for", f"{line}; others need more")


def _coverage(results: Mapping[str, Any]) -> str:
    """Says how much of the reference triangulation placed, where that was not all."""
    share = _at(results["baselines"], ("triangulation", "overall")).get("coverage", 100.0)
    if share == 100.0:
        return ""
    return f"\nTriangulation places {share:.1f} % of the joints; the others do not count."


def _spans(results: Mapping[str, Any]) -> Iterator[text.Text]:
    """Says of a run on spans which it trained on, where it started, and what drifted."""
    if "spans" in results["data"]:
        yield _line("Spans", ", ".join(str(span) for span in results["data"]["spans"]))
    start = results.get("warm_start", {})
    if start:
        goes_on = f"went on from the last blessed model, {start['model']}"
        yield _line("" if "spans" in results["data"] else "Start", start["note"] or goes_on)
    drift = results.get("drift", {})
    if drift.get("flagged"):
        off = ", ".join(
            f"{name} {drift['measured'][name]:.3f} (at most {drift['thresholds'][name]:g})"
            for name in drift["flagged"]
        )
        told = f"span {drift['span']} is unlike span {drift['compared_with']}: {off}"
        yield _line("Drift", told, "bold yellow")
    elif drift.get("compared_with") is not None:
        yield _line("Drift", f"none: span {drift['span']} is like span {drift['compared_with']}")


def _rig(results: Mapping[str, Any]) -> Iterator[console.RenderableType]:
    """Says what a check found of the rig."""
    if results.get("rig") == []:
        yield _line("Rig", "nothing wrong is found")
    for index, finding in enumerate(results.get("rig", [])):
        style = "bold red" if finding["severity"] == "error" else "bold yellow"
        yield _line("" if index else "Rig", "{severity}: {name}".format(**finding), style)
        told = text.Text("{sentence} {remedy}".format(**finding))
        yield padding.Padding(told, (0, 0, 0, _LABEL_WIDTH))


def _held_out(results: Mapping[str, Any]) -> Iterator[text.Text]:
    """Says how far poses are from the views that they were not lifted from."""
    if "held_out" in results:
        score = results["held_out"]
        instants = f"{score['num_instants']} {_SPLITS[score['measured_on']]} instants"
        away = "median {median_px:.1f} px, {median_mm:.1f} mm".format(**score)
        yield _line("Held out", f"views not lifted from: {away}; {instants}, no labels")


def _kept(results: Mapping[str, Any]) -> str:
    """Says which bounds a blessed model keeps."""
    bounds = results.get("bounds", {})
    measured = results["overall"] | results.get("further", {})
    kept = [
        f"{key} {_of_bound(key, measured[key])} (bound {_of_bound(key, bounds[key])})"
        for key in sorted(bounds)
    ]
    return f": {', '.join(kept)}" if kept else ""


def _of_bound(name: str, value: float) -> str:
    return f"{value:.2f}" if name.endswith(("_ratio", "_share")) else f"{value:.1f}"


def _line(label: str, value: str, style: str = "") -> text.Text:
    parts = ((label.ljust(_LABEL_WIDTH), "dim"), (value, style))
    return text.Text.assemble(*parts)


# The check of a rig.


NOTHING = "Nothing wrong found."

_STYLES = {footage.ERROR: "bold red", footage.WARNING: "yellow"}


def show_rigs(reports: Sequence[report.RigReport], file: TextIO | None = None) -> None:
    """Prints reports: in color on a terminal, plainly to a file or pipe."""
    printed(rig_parts(reports), file)


def headline(rig: report.RigReport) -> str:
    """Says in a line how many things are wrong with a rig."""
    counts = [
        (sum(finding.severity == severity for finding in rig.found), severity)
        for severity in (footage.ERROR, footage.WARNING)
    ]
    told = [f"{count} {kind}{'s' if count > 1 else ''}" for count, kind in counts if count]
    return f"{' and '.join(told)} found." if told else NOTHING


def subject(rig: report.RigReport) -> str:
    """Says in a line what was looked at."""
    clips = ", ".join(rig.clips[:_MAX_CLIPS])
    more = len(rig.clips) - _MAX_CLIPS
    clips += f" and {more} more" if more > 0 else ""
    footage = rig.footage
    frames = f"{footage.num_frames} frame{'s' * (footage.num_frames != 1)}"
    return f"{footage.num_views} cameras, {frames} at {footage.frame_rate:g} Hz of {clips}"


def person(rig: report.RigReport) -> str:
    """Says in a line who was seen, and from where."""
    measured = rig.as_read if rig.after is None else rig.after
    if not np.isfinite(measured.distance).any():
        return "The person is in no frame seen by two cameras well enough."
    near, far = np.nanmin(measured.distance), np.nanmax(measured.distance)
    tall = measured.person.height
    height = f"{tall:.2f} m tall" if np.isfinite(tall) else "of unknown height"
    once = " once mended" if rig.after is not None else ""
    return f"The person is {height}, {near:.1f} to {far:.1f} m from the cameras{once}."


def rows(rig: report.RigReport) -> tuple[list[str], list[list[str]]]:
    """Returns the table of cameras: headings, and a row for each."""
    data = report.as_data([rig])["rigs"][0]
    measured = data["as_read"] if data["corrected"] is None else data["corrected"]
    headings = (
        "Camera|Reproj.\npx|90 %\npx|Left out\npx|Epipolar\npx|Bias\npx|Confi-\ndence|"
        "Frames\nlost %|Late\nframes|Distance\nm"
    ).split("|")
    return headings, [_row(name, values) for name, values in measured["cameras"].items()]


def _row(name: str, values: dict[str, Any]) -> list[str]:
    lost = values["nobody_share"] + values["too_few_joints_share"]
    return [
        name,
        _figure(values["reprojection_px"]["median"]),
        _figure(values["reprojection_px"]["p90"]),
        _figure(values["leave_one_out_px"]["median"]),
        _figure(values["epipolar_px"]),
        _figure(float(np.hypot(*values["bias_px"]))),
        _figure(values["mean_confidence"], 2),
        _figure(100 * lost),
        _figure(values["time_offset"]["frames"], 2),
        _figure(values["distance_m"], 2),
    ]


def _figure(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "-"
    # Not "-0.0".
    return f"{round(value, digits) + 0.0:.{digits}f}"


def rig_parts(reports: Sequence[report.RigReport]) -> Parts:
    """Lays out reports, one below the other."""
    for number, rig in enumerate(reports):
        if number:
            yield text.Text(), False
        yield from ((part, False) for part in _rig_about(rig))


def _rig_about(rig: report.RigReport) -> Iterator[console.RenderableType]:
    yield text.Text(subject(rig))
    yield text.Text(person(rig))
    yield text.Text()
    yield _table(rig)
    yield text.Text()
    if not rig.found:
        yield text.Text(NOTHING, "green")
    for finding in rig.found:
        yield text.Text(f"{finding.severity}: {finding.name}", _STYLES[finding.severity])
        yield text.Text(f"  {finding.sentence}")
        yield text.Text(f"  {finding.remedy}", "dim")


def _table(rig: report.RigReport) -> table.Table:
    headings, cells = rows(rig)
    page = plain_table()
    page.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        page.add_column(heading, justify="right")
    for row in cells:
        page.add_row(*map(text.Text, row))
    return page
