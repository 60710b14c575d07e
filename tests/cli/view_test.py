import dataclasses
import webbrowser

import pytest

from keras_mvlift.cli import main
from keras_mvlift.lifting import pose_clip
from tests.visualization import pose_clips


def view(*arguments):
    return main.main(["view", *map(str, arguments)])


@pytest.fixture
def results(tmp_path):
    """Files of two models and of the truth."""
    ours, theirs, reference = pose_clips.compared().tracks
    for name, track in (("ours", ours), ("theirs", theirs), ("truth", reference)):
        pose_clip.write(pose_clips.clip(track), tmp_path / f"{name}.json")
    return tmp_path


def test_the_page_is_beside_the_result_and_named(results, capsys):
    assert view(results / "ours.json") == 0
    assert capsys.readouterr().out == f"{results / 'ours.html'}\n"
    assert "<title>ours</title>" in (results / "ours.html").read_text(encoding="utf-8")


def test_results_are_compared_and_judged(results):
    page = results / "page.html"
    arguments = ("--compare", results / "theirs.json", "--reference", results / "truth.json")
    assert view(results / "ours.json", "--output", page, *arguments) == 0
    text = page.read_text(encoding="utf-8")
    assert '"name":"ours: ray root"' in text
    assert '"name":"theirs: paper"' in text
    assert '"isReference":true' in text
    assert '"mean":23.5' in text


def test_the_page_is_opened_where_it_is_asked_for(results, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    view(results / "ours.json")
    assert opened == []
    view(results / "ours.json", "--open")
    assert opened == [(results / "ours.html").as_uri()]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.json"], "nowhere.json"),
        (["ours.json", "--output", "page.pdf"], "`output` must end in .html, .htm. Received: pag"),
        (["ours.json", "--output", "no/page.html"], "no must be a folder to write page.html to."),
        (["ours.json", "--compare", "ours.json"], "`compare` must name other files"),
        (["ours.json", "--compare", "fast.json"], "`fast` must have the first clip's frame rate"),
        (["bad.json"], "bad.json"),
        (["ours.mov"], "ours.mov"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(results, monkeypatch, refused, arguments, sentence):
    monkeypatch.chdir(results)
    fast = dataclasses.replace(pose_clips.clip(), frame_rate=120.0)
    pose_clip.write(fast, results / "fast.json")
    (results / "bad.json").write_text("{")
    refused(sentence, "view", *arguments)
    assert not list(results.rglob("*.html"))
