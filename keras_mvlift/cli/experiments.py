"""Measures the paper's tables and ours: `keras-mvlift experiments`."""

import argparse
import collections
import dataclasses
import difflib
import json
import pathlib
import sys

from keras_mvlift.experiments import origins, profiles, tables

_INTERRUPTED = 130


def run(options: argparse.Namespace) -> int:
    """Runs what is not finished and reports all that is; a ValueError says what does not do."""
    profile = profiles.changed(
        profiles.PROFILES[options.profile], options.steps, options.width, options.precision
    )
    if options.list:
        print(_listing())
        return 0
    chosen = _chosen(options.only or tables.of_profile(profile), options.rows)
    known = {*tables.known_to(profile), *(table.name for table in chosen)}
    origin = _origin(profile, options)
    # They import TensorFlow, which takes longer than to refuse an argument.
    from keras_mvlift.experiments import results, runs

    experiments = runs.Experiments(
        profile,
        origin,
        chosen,
        options.seeds or profile.seeds,
        options.output or pathlib.Path("output", "experiments", profile.name),
        known=[table for name, table in tables.TABLES.items() if name in known],
    )
    try:
        experiments.run()
    except KeyboardInterrupt:
        left = len(experiments.to_do())
        print(f"Interrupted; {left} cells are left. Run it again to go on.", file=sys.stderr)
        return _INTERRUPTED
    measured = results.gather(experiments)
    write(measured, experiments.folder)
    print(f"{experiments.folder / 'report.html'}: {_outcome(measured)}")
    return 0


def write(measured: dict[str, object], folder: pathlib.Path) -> None:
    """Writes `results.json`, of `results.gather`, `tables.md`, `figures/` and `report.html`."""
    from keras_mvlift.experiments import report

    folder.mkdir(parents=True, exist_ok=True)
    # Rows stay in their order, the published ones too.
    text = json.dumps(measured, indent=1, allow_nan=False)
    (folder / "results.json").write_text(text + "\n")
    # From here on what is shown is what is written, tuples and numbers of NumPy included.
    shown = json.loads(text)
    (folder / "tables.md").write_text(report.markdown(shown), encoding="utf-8")
    drawn = report.write_curves(shown, folder / "figures")
    report.write(folder / "report.html", shown, drawn)


def _origin(profile: profiles.Profile, options: argparse.Namespace) -> origins.Origin:
    near, far = (
        profiles.Recordings(
            getattr(options, f"{prefix}data_root"),
            getattr(options, f"{prefix}source"),
            getattr(options, f"{prefix}source_options") or "{}",
        )
        for prefix in ("", "test_")
    )
    return profiles.open_origin(profile, options.motions, near, far)


def _chosen(names: list[str], row_names: list[str] | None) -> list[tables.Table]:
    unknown = sorted(set(names) - set(tables.TABLES))
    if unknown:
        known = ", ".join(tables.TABLES)
        raise ValueError(f"`only` must name some of {known}. Received: {', '.join(unknown)}.")
    chosen = [table for name, table in tables.TABLES.items() if name in names]
    return chosen if row_names is None else _with_rows(chosen, row_names)


def _with_rows(chosen: list[tables.Table], names: list[str]) -> list[tables.Table]:
    """Leaves the tables the rows of these names."""
    known = list(dict.fromkeys(row.name for table in chosen for row in table.rows))
    for name in names:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
            listed = ", ".join(map(repr, nearest))
            rule = "`rows` must be names that --list shows of the tables chosen"
            raise ValueError(f"{rule}; nearest are {listed}. Received: {name!r}.")
    cut = [
        dataclasses.replace(table, rows=tuple(row for row in table.rows if row.name in names))
        for table in chosen
    ]
    return [table for table in cut if table.rows]


def _listing() -> str:
    lines = []
    for table in tables.TABLES.values():
        lines.append(f"{table.name}: {table.title}")
        lines += [f"    {row.name}" for row in table.rows]
    return "\n".join(lines)


def _outcome(measured: dict[str, object]) -> str:
    counts = collections.Counter(
        cell["status"]
        for table in measured["tables"]  # type: ignore[attr-defined]
        for row in table["rows"]
        for cell in row["cells"]
    )
    return ", ".join(
        f"{count} cells {status.replace('_', ' ')}" for status, count in counts.items()
    )
