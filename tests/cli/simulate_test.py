import sys
import types

from keras_mvlift.cli import main
from keras_mvlift.datasets import aistpp
from keras_mvlift.datasets.human36m import source


def test_a_simulated_human36m_is_written_and_can_be_read(tmp_path, capsys):
    out = tmp_path / "h36m"
    options = ["--subjects", "S1", "S9", "--takes", "2", "--frames", "6", "--seed", "3"]
    assert main.main(["simulate", "human36m", str(out), *options]) == 0
    assert f"{out}: a simulated human36m" in capsys.readouterr().out
    release = source.Human36MSource(
        root=str(out), detections="gt", train_subjects=("S1",), test_subjects=("S9",)
    )
    assert [clip.num_frames for clip in release] == [6] * 4


def test_a_simulated_aistpp_is_written_and_can_be_read(tmp_path, capsys):
    out = tmp_path / "aistpp"
    options = ["--subjects", "d04", "d06", "--takes", "1", "--frames", "6", "--seed", "3"]
    assert main.main(["simulate", "aistpp", str(out), *options]) == 0
    assert f"{out}: a simulated aistpp" in capsys.readouterr().out
    clips = [*aistpp.AISTPPSource(root=str(out))]
    assert [(clip.subject, clip.num_frames) for clip in clips] == [("d04", 6), ("d06", 6)]


def test_a_folder_that_holds_anything_is_refused(tmp_path, refused):
    (tmp_path / "mine").write_text("")
    refused("simulate: `out` must be an empty folder", "simulate", "human36m", tmp_path)


def test_an_argument_that_is_not_the_datasets_is_refused(tmp_path, monkeypatch, capsys):
    calls = []
    module = types.ModuleType("aistpp")
    module.write_release = lambda root, *, seed=0: calls.append((root, seed))
    monkeypatch.setitem(sys.modules, "keras_mvlift.studio.aistpp", module)
    out = tmp_path / "out"
    assert main.main(["simulate", "aistpp", str(out), "--takes", "3"]) == 1
    assert "`--takes` must be left out with aistpp. Received: 3." in capsys.readouterr().err
    assert main.main(["simulate", "aistpp", str(out), "--seed", "7"]) == 0
    assert calls == [(out, 7)]
