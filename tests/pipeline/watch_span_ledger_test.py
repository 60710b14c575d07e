import dataclasses
import json

import pytest

from keras_mvlift import errors
from pipeline import watch


@pytest.fixture
def watched(tmp_path):
    for name in ("monday", "tuesday"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rig.yaml").write_text(name)
    return tmp_path


def ledger(watched):
    return watch.Ledger(watched / "spans")


def done(entry):
    return dataclasses.replace(entry, state="done")


def test_a_recording_gets_the_next_number_for_ever(watched):
    kept = ledger(watched)
    first = kept.claim(watched / "monday")
    kept.note(done(first))
    second = ledger(watched).claim(watched / "tuesday")
    assert (first.span, second.span) == (1, 2)
    assert (watched / "spans" / "00001" / "rig.yaml").read_text() == "monday"
    assert (watched / "spans" / "00002" / "rig.yaml").read_text() == "tuesday"
    assert [entry.recording for entry in ledger(watched).entries] == ["monday", "tuesday"]
    assert ledger(watched).open == second


def test_numbers_that_folders_bear_are_not_given_again(watched):
    (watched / "spans" / "00041").mkdir(parents=True)
    assert ledger(watched).claim(watched / "monday").span == 42


def test_a_claim_that_was_killed_before_the_move_is_finished(watched, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(watch.Ledger, "settle", lambda *_: None)
        ledger(watched).claim(watched / "monday")
    assert (watched / "monday").exists()
    for _ in range(2):
        kept = ledger(watched)
        kept.settle(watched)
        assert kept.open.span == 1
        assert not (watched / "monday").exists()
        assert (watched / "spans" / "00001" / "rig.yaml").exists()


def test_a_recording_that_is_taken_back_before_the_move_leaves_its_number_unused(watched):
    kept = ledger(watched)
    kept.note(watch.Entry(span=1, recording="gone"))
    kept.settle(watched)
    assert kept.open is None
    assert kept.claim(watched / "monday").span == 2


def test_the_file_is_whole_or_the_former_one(watched, monkeypatch):
    kept = ledger(watched)
    kept.note(watch.Entry(span=1, recording="a"))

    def fail(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(watch.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        kept.note(watch.Entry(span=1, recording="b"))
    assert [entry.recording for entry in ledger(watched).entries] == ["a"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps({"spans": [{"x": 1}]})])
def test_another_file_is_refused_by_name(text, watched):
    (watched / "spans").mkdir()
    (watched / "spans" / watch.LEDGER).write_text(text)
    with pytest.raises(errors.RecordingError, match=r"ledger.json: `spans` must hold the spans"):
        ledger(watched)
