"""Reports what is right and wrong with a rig: `keras-mvlift check-rig PATH`."""

import argparse
import json
import pathlib

from keras_mvlift import sources
from keras_mvlift.diagnosis import report
from keras_mvlift.visualization import tables


def run(options: argparse.Namespace) -> int:
    """Prints the report; gives 1 if something must be mended before training, else 0.

    Raises:
        ValueError: If the source or an argument does not do, or a file cannot be read.
    """
    given = {}
    if options.calibration:
        given["calibration"] = str(pathlib.Path(options.calibration).resolve())
    source = sources.open_path(options.path, options.source, json.dumps(given))
    reports = report.check_source(source, max_frames=options.max_frames)
    tables.show_rigs(reports)
    if options.json:
        figures = json.dumps(report.as_data(reports), indent=2, allow_nan=False)
        options.json.write_text(figures + "\n", encoding="utf-8")
    if options.html:
        from keras_mvlift.visualization import rig_report

        rig_report.write(options.html, reports)
    return int(any(rig.has_errors for rig in reports))
