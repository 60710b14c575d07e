import time

import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files
from tests.untrusted import damage

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha" * 10}">' for i in range(30))
BOMB = f"<!DOCTYPE a [{LAUGHS}]><a>&l29;</a>"


def test_elements_and_attributes_are_read(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<?xml version="1.0"?><a x="1"><b y="2"/></a>')
    root = files.read_xml(path, "rig")
    assert (root.tag, root.get("x"), root.find("b").get("y")) == ("a", "1", "2")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    ],
)
def test_a_document_type_is_refused_before_its_entities_are_read(tmp_path, text, encoding):
    path = tmp_path / "a.xml"
    path.write_bytes(text.encode(encoding))
    begin = time.perf_counter()
    rule = "`rig` must be XML without a document type. Received: ValueError: a document type a"
    with pytest.raises(errors.RecordingError, match=rule):
        files.read_xml(path, "rig")
    # The bomb would take for ever.
    assert time.perf_counter() - begin < 10


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.xml"
    path.write_text("<a/>")
    monkeypatch.setattr(files, "MAX_MARKUP_BYTES", 3)
    with pytest.raises(errors.RecordingError, match="have at most 3 bytes"):
        files.read_xml(path, "rig")


def test_elements_a_hundred_thousand_deep_do_no_harm(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<a>" * 100_000 + "</a>" * 100_000)
    assert len(files.read_xml(path, "rig").findall(".//a")) == 99_999


def test_damage_ends_in_our_error(tmp_path):
    path = tmp_path / "a.xml"
    text = b'<?xml version="1.0" encoding="utf-8"?><a x="1">' + b'<b y="2"/>' * 20 + b"</a>"
    assert damage.assert_only_our_errors(lambda: files.read_xml(path, "rig"), path, text) > 50
