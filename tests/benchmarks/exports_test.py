"""The measurement of formats measures all of them, and what it measures gives the same poses."""

import itertools
import json
import sys
import time

import numpy as np

from benchmarks import exports

FORMATS = [
    "load_model().lift",
    "SavedModel",
    "ONNX Runtime",
    "TFLite float32",
    "TFLite float16",
    "TFLite int8",
]


def test_every_format_is_measured_on_batches_of_both_sizes(tmp_path, monkeypatch, capsys):
    path = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["exports", "--quick", "--json", str(path)])
    exports.main()
    rows = json.loads(path.read_text())
    measured = [(row["batch_size"], row["format"]) for row in rows]
    assert measured == [*itertools.product((1, 8), FORMATS)]
    for row in rows:
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        is_exact = row["format"] not in ("TFLite float16", "TFLite int8")
        assert (row["difference_mm"] < 0.1) == (is_exact or row["format"] == "TFLite float16")
        assert (row["ratio"] == 1.0) == (row["format"] == exports.LIFT)
    sizes = {row["format"]: row["bytes"] for row in rows}
    assert sizes["TFLite int8"] < sizes["TFLite float16"] < sizes["TFLite float32"]
    assert capsys.readouterr().out.count("load_model().lift") == 2


def test_calls_take_turns_and_each_is_timed():
    order = []

    def sleeps(name, seconds):
        def call():
            order.append(name)
            time.sleep(seconds)
            return {}

        return call

    taken = exports.latencies({"short": sleeps("short", 0), "long": sleeps("long", 0.002)}, 2)
    row = exports.CALLS_IN_A_ROW
    assert order == [*["short"] * row, *["long"] * row] * 2
    assert [len(seconds) for seconds in taken.values()] == [2 * row] * 2
    assert taken["long"].min() >= 0.002
    assert np.median(taken["short"]) < 0.002
