import pytest

from components.example_gen import spans
from keras_mvlift import errors


@pytest.fixture
def folder(tmp_path):
    for name in ("films/00002", "films/00010", "films/9", "films/broken", "v/3-1/in", "v/3-2/in"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "films" / "ledger.json").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "number", "version", "name"),
    [
        ("films/{SPAN}", 10, 0, "films/00010"),
        ("films/{SPAN:1}", 9, 0, "films/9"),
        ("v/{SPAN}-{VERSION}/in", 3, 2, "v/3-2/in"),
    ],
)
def test_the_newest_is_the_greatest_number(pattern, number, version, name, folder):
    found = spans.newest(f"{folder}/{pattern}")
    assert found == spans.Span(number, version, str(folder / name))


def test_a_path_may_begin_anywhere(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert spans.newest("films/{SPAN:5}") == spans.Span(10, 0, "films/00010")


def test_what_else_a_path_holds_is_taken_word_for_word(folder):
    (folder / "a+b").mkdir()
    (folder / "a+b" / "1").mkdir()
    assert spans.newest(f"{folder}/a+b/{{SPAN}}").number == 1
    with pytest.raises(errors.RecordingError, match="match a span"):
        spans.newest(f"{folder}/film./{{SPAN}}")


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ("films/{SPAN:7}", "`data_root` must match a span at least. Received: none"),
        ("{SPAN}/{SPAN}", "hold {SPAN} once, and {VERSION} once at most. Received: SPAN, SPAN"),
        ("films/{VERSION}", "hold {SPAN} once, .* Received: VERSION"),
    ],
)
def test_paths_without_a_span_are_refused(pattern, rule, folder):
    with pytest.raises(errors.RecordingError, match=rule):
        spans.newest(f"{folder}/{pattern}")


def test_only_span_makes_spans():
    found = [spans.are_in(root) for root in ("films/{SPAN}", "films/{SPAN:5}", "films/00001", "")]
    assert found == [True, True, False, False]
