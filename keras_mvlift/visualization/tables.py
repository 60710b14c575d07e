"""Prints what `results.json` and the check of a rig say; docs/results.md and docs/check_rig.md."""

import collections
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np
from rich import box, console, padding, table, text

from keras_mvlift.diagnosis import footage, report

# Columns of a page that is not a terminal's, and the least in which names and numbers have room; a
# narrower terminal breaks the lines.
WIDTH, MIN_WIDTH = 100, 80

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


# A text with `no_wrap` goes on beyond the edge instead of being broken.
Parts = Iterable[console.RenderableType]


def show(parts: Parts, file: TextIO | None = None) -> None:
    """Prints a page: in color on a terminal, plainly to a file or pipe."""
    page = console.Console(file=file)
    page.width = max(page.width, MIN_WIDTH) if page.is_terminal else WIDTH
    for line in _lines(parts, page):
        # What the encoding lacks is escaped, so that printing never fails.
        print(line.encode(page.encoding, "backslashreplace").decode(page.encoding), file=page.file)


def rendered(parts: Parts, width: int = WIDTH) -> str:
    """Writes a page as plain text of so many columns, without colors."""
    page = console.Console(file=io.StringIO(), width=width, color_system=None)
    return "".join(f"{line}\n" for line in _lines(parts, page))


def _lines(parts: Parts, page: console.Console) -> list[str]:
    with page.capture() as captured:
        for part in parts:
            goes_on = isinstance(part, text.Text) and bool(part.no_wrap)
            page.print(part, soft_wrap=goes_on, highlight=False)
    return [line.rstrip() for line in captured.get().splitlines()]


# Cells of a row, and its style.
_Row = tuple[Iterable[str], str]


def plain_table(headings: Iterable[str], *groups: Iterable[_Row]) -> table.Table:
    """Lays out rows with a rule below their headings and a blank line between groups."""
    name, *others = headings
    page = table.Table(
        box=_BOX, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style=""
    )
    page.add_column(name, overflow="fold")
    for heading in others:
        page.add_column(heading, justify="right", no_wrap=True)
    for rows in groups:
        for cells, style in rows:
            page.add_row(*map(text.Text, cells), style=style)
        page.add_section()
    return page


def parts(results: Mapping[str, Any]) -> Parts:
    """Lays out what `results.json` holds.

    Long paths and lines of code go on beyond the edge: broken, they could not be copied.
    """
    yield _results_table(results)
    if "candidates" in results:
        yield text.Text()
        yield _candidates_table(results["candidates"])
    share = _at(results["baselines"], ("triangulation", "overall")).get("coverage", 100.0)
    placed = f"\nTriangulation places {share:.1f} % of the joints; the others do not count."
    yield text.Text(_NOTE + placed * (share != 100.0), "dim", no_wrap=True)
    yield text.Text()
    for tell in (_verdict, _trained_on, _way, _files):
        for label, value, style in tell(results):
            if label is None:
                yield padding.Padding(text.Text(value), (0, 0, 0, _LABEL_WIDTH))
            else:
                told = ((label.ljust(_LABEL_WIDTH), "dim"), (value, style))
                yield text.Text.assemble(*told, no_wrap=True)


def _results_table(results: Mapping[str, Any]) -> table.Table:
    """Lays out the model's figures and the baselines' for each average, action and camera."""

    def row(name: str, *path: str) -> _Row:
        figures = _at(results, path)
        of_baselines = (_at(results["baselines"].get(key, {}), path) for key in _BASELINES)
        values = [figures.get(key) for key in _COLUMNS]
        values += [baseline.get("mpjpe_mm") for baseline in of_baselines]
        cells = [name, str(figures.get("num_examples", "")), *map(_number, values)]
        return cells, "bold" * (path == (_HEADLINE,))

    averages = [row(name, key) for key, name in _AVERAGES.items()]
    slices = [
        [row(f"{kind} {name}", key, name) for name in results[key]] for key, kind in _SLICES.items()
    ]
    headings = ("", "Views", *_COLUMNS.values(), *_BASELINES.values())
    return plain_table(headings, averages, *slices)


_CANDIDATES = {
    "adapted": "{start_from}, last layer fitted",
    "started": "{start_from}, trained on",
    "scratch": "trained from random weights",
}


def _candidates_table(tried: Mapping[str, Any]) -> table.Table:
    """Lays out what was chosen between: the score that chose, and the errors that did not."""
    shown = list(_COLUMNS)[:3]
    rows = []
    for name in (name for name in _CANDIDATES if name in tried["held_out"]):
        is_chosen = name == tried["chosen"]
        told = ("* " if is_chosen else "  ") + _CANDIDATES[name].format(**tried)
        values = [tried["held_out"][name]["mean_mm"], *(tried["test"][name][key] for key in shown)]
        rows.append(([told, *map(_number, values)], "bold" * is_chosen))
    headings = ("Chosen between, by the score", "held out\nmm, no labels")
    return plain_table((*headings, *(_COLUMNS[key] for key in shown)), rows)


def _at(figures: Mapping[str, Any], path: Iterable[str]) -> Mapping[str, Any]:
    for key in path:
        figures = figures.get(key, {})
    return figures


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


# Label, value and style of a line; of a paragraph the label is None.
_Told = Iterator[tuple[str | None, str, str]]


def _verdict(results: Mapping[str, Any]) -> _Told:
    """Tells whether the model is good enough, and how far its poses are from other views."""
    bounds, blessed = results.get("bounds", {}), results["blessed"]
    measured = results["overall"] | results.get("further", {})
    kept = []
    for key in sorted(bounds) if blessed else ():
        digits = 2 if key.endswith(("_ratio", "_share")) else 1
        kept.append(f"{key} {measured[key]:.{digits}f} (bound {bounds[key]:.{digits}f})")
    yes = f"yes: {', '.join(kept)}" if kept else "yes"
    yield ("Blessed", yes, "green") if blessed else ("Blessed", "no", "bold red")
    for reason in results["reasons"]:
        yield None, f"- {reason}", ""
    if "held_out" in results:
        score = results["held_out"]
        instants = f"{score['num_instants']} {_SPLITS[score['measured_on']]} instants"
        away = "median {median_px:.1f} px, {median_mm:.1f} mm".format(**score)
        yield "Held out", f"views not lifted from: {away}; {instants}, no labels", ""


def _trained_on(results: Mapping[str, Any]) -> _Told:
    """Tells which recordings were used, and what of them was not."""
    data = results["data"]
    yield "Data", f"{data['source']}: {_first(data['clips'])}", ""
    yield "", f"{data['train_pairs']} training pairs, {data['test_views']} test views", ""
    counts = data.get("counts", {})
    left_out = [_counted(counts[key], name) for key, name in _LEFT_OUT.items() if counts.get(key)]
    if left_out:
        yield "", f"left out: {', '.join(left_out)}", ""
    if data.get("lost_clips"):
        yield "", f"not usable: {data['lost_clips']} clips, listed in {data['dead_letters']}", ""
    if data["data_root"]:
        yield "", f"from {data['data_root']}", ""
    yield from _spans(results)
    if results.get("rig") == []:
        yield "Rig", "nothing wrong is found", ""
    for index, finding in enumerate(results.get("rig", [])):
        style = "bold red" if finding["severity"] == "error" else "bold yellow"
        yield "" if index else "Rig", "{severity}: {name}".format(**finding), style
        yield None, "{sentence} {remedy}".format(**finding), ""
    if "reference" in data:
        known = data.get("reference_coverage", 100.0)
        share = "" if known == 100.0 else f", {known:.1f} % of the joints"
        yield "Reference", data["reference"] + share, ""


def _first(clips: Sequence[str]) -> str:
    """Names the first clips, and counts the others."""
    more = len(clips) - _MAX_CLIPS
    return ", ".join(clips[:_MAX_CLIPS]) + (f" and {more} more" if more > 0 else "")


def _counted(number: int, words: str) -> str:
    """Returns a number of things; their first word is a plural in `s`."""
    first, *others = words.split(" ")
    return " ".join([str(number), first.removesuffix("s") if number == 1 else first, *others])


def _spans(results: Mapping[str, Any]) -> _Told:
    """Tells of a run on spans which it trained on, where it started, and what drifted."""
    is_spanned = "spans" in results["data"]
    if is_spanned:
        yield "Spans", ", ".join(map(str, results["data"]["spans"])), ""
    if start := results.get("warm_start", {}):
        goes_on = f"went on from the last blessed model, {start['model']}"
        yield "" if is_spanned else "Start", start["note"] or goes_on, ""
    drift = results.get("drift", {})
    if drift.get("flagged"):
        off = ", ".join(
            f"{name} {drift['measured'][name]:.3f} (at most {drift['thresholds'][name]:g})"
            for name in drift["flagged"]
        )
        told = f"span {drift['span']} is unlike span {drift['compared_with']}: {off}"
        yield "Drift", told, "bold yellow"
    elif drift.get("compared_with") is not None:
        yield "Drift", f"none: span {drift['span']} is like span {drift['compared_with']}", ""


def _way(results: Mapping[str, Any]) -> _Told:
    """Tells how a model was trained, and for whom it is good that has seen little."""
    if "tuned" in results:
        tuned = sorted(results["tuned"].items())
        yield "Tuned", ", ".join(f"{name} {value:.3g}" for name, value in tuned), ""
    yield "Recipe", f"{results['recipe']}, seed {results['seed']}", ""
    people, instants = (results["data"][key] for key in ("train_people", "train_instants"))
    if people == 1 or instants < _MANY_INSTANTS:
        whom = "the person" if people == 1 else f"the {people} people"
        poses = f"in poses like those of the {instants} training instants"
        yield "Good for", f"{whom} trained on, {poses}; others need more", ""


def _files(results: Mapping[str, Any]) -> _Told:
    """Tells where the model is and what one does with it, and where the rest is."""
    yield "Model", results["model"] or f"not pushed; kept in {results['trained']}", ""
    if not results["blessed"]:
        hint = "more people and motions make it better; the settings' `bounds` decide what is"
        yield "", f"{hint} pushed", ""
    if results["model"]:
        yield "Python", f'model = keras_mvlift.load_model("{results["model"]}")', ""
        yield "", "pose = model.lift(keypoints_2d, confidence, camera=intrinsics)", ""
    for name in ("picture", "results", "log"):
        yield name.capitalize(), results[name], ""


# The check of a rig.

NOTHING = "Nothing wrong found."

_STYLES = {footage.ERROR: "bold red", footage.WARNING: "yellow"}


def headline(rig: report.RigReport) -> str:
    """Says in a line how many things are wrong with a rig."""
    counts = collections.Counter(finding.severity for finding in rig.found)
    told = [_counted(counts[kind], f"{kind}s") for kind in _STYLES if counts[kind]]
    return f"{' and '.join(told)} found." if told else NOTHING


def subject(rig: report.RigReport) -> str:
    """Says in a line what was looked at."""
    seen, clips = rig.footage, _first(rig.clips)
    frames = _counted(seen.num_frames, "frames")
    return f"{seen.num_views} cameras, {frames} at {seen.frame_rate:g} Hz of {clips}"


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
            yield text.Text()
        yield text.Text(subject(rig))
        yield text.Text(person(rig))
        yield text.Text()
        headings, cells = rows(rig)
        yield plain_table(headings, [(row, "") for row in cells])
        yield text.Text()
        if not rig.found:
            yield text.Text(NOTHING, "green")
        for finding in rig.found:
            yield text.Text(f"{finding.severity}: {finding.name}", _STYLES[finding.severity])
            yield text.Text(f"  {finding.sentence}")
            yield text.Text(f"  {finding.remedy}", "dim")
