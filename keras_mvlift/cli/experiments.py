"""Measures the paper's tables and ours: `keras-mvlift experiments`."""

import argparse
import collections
import dataclasses
import difflib
import json
import pathlib
import sys
from typing import Any

from keras_mvlift import errors
from keras_mvlift.experiments import profiles, tables
from keras_mvlift.untrusted import files

_INTERRUPTED = 130


def run(options: argparse.Namespace) -> int:
    """Runs what is not finished and reports all that is; a ValueError says what does not do."""
    changes = options.steps, options.width, options.precision
    profile = profiles.changed(profiles.PROFILES[options.profile], *changes)
    if options.list:
        for table in tables.TABLES.values():
            print(f"{table.name}: {table.title}", *(row.name for row in table.rows), sep="\n    ")
        return 0
    chosen = _chosen(options.only or tables.of_profile(profile), options.rows)
    known = {*tables.known_to(profile), *(table.name for table in chosen)}
    names = ("data_root", "source", "source_options")
    near, far = (
        profiles.Recordings(*(getattr(options, prefix + name) for name in names))
        for prefix in ("", "test_")
    )
    origin = profiles.open_origin(profile, options.motions, near, far)
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
    return _show(measured, experiments.folder / "report.html")


def write(measured: dict[str, Any], folder: pathlib.Path) -> None:
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
    files.write_text(folder / "report.html", report.render(shown, drawn))


def _chosen(names: list[str], row_names: list[str] | None) -> list[tables.Table]:
    """Returns the tables of these names, with the rows of the others where those are told."""
    unknown = sorted(set(names) - set(tables.TABLES))
    if unknown:
        rule = f"name some of {', '.join(tables.TABLES)}"
        raise errors.ArgumentError("only", rule, ", ".join(unknown))
    chosen = [table for name, table in tables.TABLES.items() if name in names]
    if row_names is None:
        return chosen
    known = list(dict.fromkeys(row.name for table in chosen for row in table.rows))
    for name in row_names:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
            listed = ", ".join(map(repr, nearest))
            rule = f"be names that --list shows of the tables chosen; nearest are {listed}"
            raise errors.ArgumentError("rows", rule, repr(name))
    rows = [tuple(row for row in table.rows if row.name in row_names) for table in chosen]
    cut = zip(chosen, rows, strict=True)
    return [dataclasses.replace(table, rows=some) for table, some in cut if some]


def _show(measured: dict[str, Any], page: pathlib.Path) -> int:
    """Prints what became of the cells; gives the exit status."""
    rows = (row for table in measured["tables"] for row in table["rows"])
    cells = [(row["name"], cell) for row in rows for cell in row["cells"]]
    counts = collections.Counter(cell["status"] for _, cell in cells)
    told = (f"{count} cells {status.replace('_', ' ')}" for status, count in counts.items())
    print(f"{page}: {', '.join(told)}")
    failed = [f"{name}: {cell['error']}" for name, cell in cells if cell["status"] == "failed"]
    if failed:
        print(f"keras-mvlift experiments: {failed[0]}", file=sys.stderr)
    return int(bool(failed))
