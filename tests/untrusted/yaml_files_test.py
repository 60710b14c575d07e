import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import yaml_files
from tests.untrusted import damage


def read(tmp_path, text, tags=None):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    return yaml_files.read(path, "manifest", tags)


def test_plain_values_are_read_and_keys_are_text(tmp_path):
    text = "54138969: {a: 1, yes: [2.5, text]}\nnone:\n"
    expected = {"54138969": {"a": 1, "yes": [2.5, "text"]}, "none": None}
    assert read(tmp_path, text) == expected


def test_directives_of_opencv_are_left_out_and_its_tags_are_read(tmp_path):
    text = "%YAML:1.0\n---\nK: !!opencv-matrix\n   rows: 1\n   data: [ 1., 2.e+00 ]\n"
    tags = {"tag:yaml.org,2002:opencv-matrix": lambda mapping: mapping["data"]}
    assert read(tmp_path, text, tags) == {"K": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "be plain YAML. Received: ParserError"),
        ("a: 1\nb: 2\na: 3", "'a' twice.*line 3"),
        ("a: &x [1]\nb: *x", r"an alias, `\*`.*line 2"),
        ("a: !!python/object/apply:os.system [ls]", "the tag 'tag:.*os.system'"),
        ("a: !own 3", "the tag '!own'"),
        ("? [1, 2]\n: 3", "a key that is no text"),
        ("a: " + "[" * 3000, "be plain YAML. Received: RecursionError"),
        ("---\na: 1\n---\nb: 2", "ComposerError"),
        ("a: 2024-13-45", "be plain YAML. Received: ValueError"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(errors.RecordingError, match=message) as caught:
        read(tmp_path, text)
    assert (caught.value.path, caught.value.field) == (tmp_path / "file.yaml", "manifest")


def test_aliases_that_would_grow_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]" for i in range(1, 12)]
    with pytest.raises(errors.RecordingError, match=r"an alias"):
        read(tmp_path, "\n".join(lines))


def test_damaged_files_end_in_our_error(tmp_path):
    path = tmp_path / "file.yaml"
    data = b"version: 1\nclips:\n- {name: a, views: {cam1: {path: x.json}}}\n- [1.5, 'text']\n"
    count = damage.assert_only_our_errors(
        lambda: yaml_files.read(path, "manifest"), path, data, count=300
    )
    assert count > 60
