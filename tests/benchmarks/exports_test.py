"""The measurement of formats measures all of them, and what it measures gives the same poses."""

import functools
import itertools
import time

import numpy as np

from benchmarks import export_formats, exports
from keras_mvlift import configs, inference
from tests.benchmarks import quick_trials

FORMATS = [
    "load_model().lift",
    "SavedModel",
    "ONNX Runtime",
    "TFLite float32",
    "TFLite float16",
    "TFLite int8",
]


FIELDS = {"format", "bytes", "batch_size", "least_ms", "p50_ms", "p99_ms", "ratio", "difference_mm"}


def test_every_format_is_measured_on_batches_of_both_sizes(tmp_path, capsys):
    rows = quick_trials.figures(exports, tmp_path)
    measured = [(row["batch_size"], row["format"]) for row in rows]
    assert measured == [*itertools.product((1, 8), FORMATS)]
    for row in rows:
        assert row.keys() == FIELDS
        assert 0 < row["least_ms"] <= row["p50_ms"] <= row["p99_ms"]
        is_exact = row["format"] not in ("TFLite float16", "TFLite int8")
        assert (row["difference_mm"] < 0.01) == (is_exact or row["format"] == "TFLite float16")
        assert (row["ratio"] == 1.0) == (row["format"] == export_formats.LIFT)
    sizes = {row["format"]: row["bytes"] for row in rows}
    assert sizes["TFLite int8"] < sizes["TFLite float16"] < sizes["TFLite float32"]
    shown = capsys.readouterr().out
    assert shown.count("load_model().lift") == 2
    assert "PyTorch was not measured" in shown


class Given:
    size = 123

    def seconds(self, batch_size, num_calls):
        return [batch_size * 1.0] * num_calls


def test_pytorch_has_a_row_of_its_own_times(tmp_path):
    folder = tmp_path / "saved"
    exports.save(configs.ModelConfig(width=16), folder)
    model = inference.load_model(folder)
    ours = export_formats.Format(7, functools.partial(export_formats.lift, model))
    first, second = exports.run({export_formats.LIFT: ours}, (2,), 1, Given())
    assert (first["format"], second["format"]) == (export_formats.LIFT, exports.TORCH)
    assert (second["bytes"], second["p50_ms"], second["difference_mm"]) == (123, 2000.0, None)
    assert second["ratio"] == second["p50_ms"] / first["p50_ms"]


def test_calls_take_turns_and_each_is_timed():
    order = []

    def sleeps(name, seconds):
        def call():
            order.append(name)
            time.sleep(seconds)

        return functools.partial(exports.timed, call)

    taken = exports.latencies({"short": sleeps("short", 0), "long": sleeps("long", 0.002)}, 2)
    row = exports.CALLS_IN_A_ROW
    assert order == [*["short"] * row, *["long"] * row] * 2
    assert [len(seconds) for seconds in taken.values()] == [2 * row] * 2
    assert taken["long"].min() >= 0.002
    assert np.median(taken["short"]) < 0.002
