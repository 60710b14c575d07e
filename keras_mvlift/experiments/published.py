"""The figures that the paper reports, for tables beside what is measured here.

Li et al., AAAI 2020, Tables 1 to 4. They are of Human3.6M and MPI-INF-3DHP with the authors'
networks, detections and training; no figure of ours is comparable with them unless it was measured
on the same data.
"""

from typing import Any

_GAP = "-"


def _part(title: str, columns: str, rows: str) -> dict[str, Any]:
    """Reads a table that is written a row a line, the figures behind a bar."""
    split = (line.split("|") for line in rows.strip().splitlines())
    return {
        "title": title,
        "columns": tuple(columns.split("|")),
        "rows": {
            name.strip(): tuple(None if x == _GAP else float(x) for x in figures.split())
            for name, figures in split
        },
    }


_ACTIONS = (
    "Direct.|Discuss|Eating|Greet|Phone|Photo|Pose|Purch.|Sitting|SittingD|Smoke|Wait|WalkD|Walk"
    "|WalkT|Avg"
)
_ERRORS = "MPJPE, mm|P-MPJPE, mm"
_SHARES = "PCK at 150 mm|AUC"

# ruff: noqa: E501
TABLES: dict[str, tuple[dict[str, Any], ...]] = {
    "table1": (
        _part(
            "Human3.6M, protocol 1, MPJPE, mm",
            _ACTIONS,
            """
Reproj          | 390.2 441.6 479.3 422.8 503.4 479.0 400.6 471.5 568.5 662.2 483.6 423.8 473.2 414.5 413.5 468.5
Reproj+ADV      | 81.7 93.0 99.3 97.3 106.8 134.7 81.8 101.0 113.2 151.2 100.7 97.0 121.3 111.6 108.3 106.6
Trans Reproj    | 49.7 54.5 58.0 56.8 63.4 80.0 52.4 52.7 71.4 78.3 58.9 55.2 60.0 43.8 49.6 59.0
Trans Reproj+DA | 48.7 53.6 54.7 55.1 61.3 76.1 51.5 50.3 68.0 75.9 56.7 53.8 58.8 42.6 47.9 57.0
""",
        ),
        _part(
            "Human3.6M, protocol 2, P-MPJPE, mm",
            _ACTIONS,
            """
Reproj          | 147.1 148.0 174.7 153.1 165.5 162.7 176.1 136.2 156.5 192.5 230.1 147.6 150.5 160.0 154.6 163.7
Reproj+ADV      | 64.8 69.4 77.4 74.4 78.4 94.2 60.4 68.9 81.5 113.1 74.3 70.4 84.8 82.4 81.6 78.4
Trans Reproj    | 39.6 42.6 45.7 46.0 47.6 57.1 41.0 39.2 55.4 59.9 46.4 42.5 47.1 34.4 41.0 45.7
Trans Reproj+DA | 38.2 41.3 43.5 44.4 45.4 54.7 39.3 38.0 53.2 59.2 45.0 40.7 46.2 33.0 39.4 44.1
""",
        ),
    ),
    "table2": (
        _part(
            "Human3.6M",
            _ERRORS,
            """
ResLinear       | 59.7 45.0
Ours            | 57.0 44.1
TemporalDilated | 56.1 43.2
""",
        ),
    ),
    "table3": (
        _part(
            "Human3.6M, other methods as the paper quotes them",
            _ERRORS,
            """
Pavlakos 2017               | 118.4 -
Tung 2017                   | 97.2 -
Zhou 2017                   | - 64.9
Drover 2018                 | - 64.6
Rhodin 2018                 | - 98.2
Wandt 2019                  | 89.9 65.1
Wang 2019 (3D labels, time) | 63.7 -
Kocabas 2019                | 76.6 67.5
Chen 2019                   | - 68.0
Li 2020 (the paper)         | 57.0 44.1
""",
        ),
    ),
    "table4": (
        _part(
            "MPI-INF-3DHP",
            _SHARES,
            """
Zhou 2017           | 69.2 32.5
Kocabas 2019        | 64.7 -
Chen 2019           | 71.1 36.3
Li 2020 (the paper) | 74.1 41.4
""",
        ),
    ),
}
"""Name of a table to its parts: title, columns, and rows of figures, None where none is given."""
