import numpy as np

from benchmarks import calibration_accuracy


def test_a_pair_of_cameras_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(calibration_accuracy, "_NUM_CAMERAS", (2,))
    monkeypatch.setattr(calibration_accuracy, "_NUM_FRAMES", (25,))
    monkeypatch.setattr(calibration_accuracy, "_SEEDS", range(1))
    calibration_accuracy.main()
    *_, row = capsys.readouterr().out.splitlines()
    cameras, frames, centimeters, degrees, seconds = map(float, row.strip("| ").split("|"))
    assert (cameras, frames) == (2, 25)
    assert 0 < centimeters < 5
    assert 0 < degrees < 1
    assert np.isfinite(seconds)
