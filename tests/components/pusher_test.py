import errno
import multiprocessing
import os
import pathlib
import signal

import pytest
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import io_utils, proto_utils

from components import pusher

FILES = ("fingerprint.pb", "saved_model.pb", "variables/variables.index")


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving"


def artifact(kind, folder):
    made = kind()
    made.uri = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture
def push(tmp_path, base):
    """Pushes a model whose files hold a word; gives what is noted of it."""

    def push_model(word, blessed=1):
        model = artifact(standard_artifacts.Model, tmp_path / "model" / word)
        for name in FILES:
            path = pathlib.Path(model.uri) / "Format-Serving" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} of {word}")
        blessing = artifact(standard_artifacts.ModelBlessing, tmp_path / "blessing")
        blessing.set_int_custom_property("blessed", blessed)
        pushed = artifact(standard_artifacts.PushedModel, tmp_path / "pushed" / word)
        destination = pusher_pb2.PushDestination()
        destination.filesystem.base_directory = str(base)
        pusher.Executor().Do(
            {"model": [model], "model_blessing": [blessing]},
            {"pushed_model": [pushed]},
            {"push_destination": proto_utils.proto_to_json(destination)},
        )
        return pushed

    return push_model


def versions(base):
    """Returns the words of the models that a server would find, oldest first."""
    found = sorted((path for path in base.iterdir() if path.name.isdecimal()), key=_number)
    return ["/".join(_words(folder)) for folder in found]


def _number(folder):
    return int(folder.name)


def _words(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert [str(path.relative_to(folder)) for path in files] == list(FILES)
    return sorted({path.read_text().split(" of ")[1] for path in files})


def at_last_file(monkeypatch, act):
    """Has something happen when a push has copied all but the model's graph."""
    copy = io_utils.copy_file

    def copy_or_act(source, destination, *others):
        if destination.endswith("saved_model.pb"):
            act()
        copy(source, destination, *others)

    monkeypatch.setattr(io_utils, "copy_file", copy_or_act)


def test_a_pushed_model_is_whole_and_noted_where_it_is(push, base):
    pushed = push("first")
    assert versions(base) == ["first"]
    folder = pathlib.Path(pushed.get_string_custom_property("pushed_destination"))
    assert folder.parent == base
    assert folder.name == pushed.get_string_custom_property("pushed_version")
    assert pushed.get_int_custom_property("pushed") == 1
    assert not (base / pusher.PARTIAL).exists()


def test_a_model_that_is_not_blessed_is_not_pushed(push, base):
    pushed = push("bad", blessed=0)
    assert not base.exists()
    assert pushed.get_int_custom_property("pushed") == 0
    assert not pushed.has_custom_property("pushed_destination")


def test_a_push_that_is_killed_leaves_no_version_and_can_be_done_again(push, base, monkeypatch):
    with monkeypatch.context() as patched:
        at_last_file(patched, lambda: os.kill(os.getpid(), signal.SIGKILL))
        process = multiprocessing.get_context("fork").Process(target=push, args=("first",))
        process.start()
        process.join()
    assert process.exitcode == -signal.SIGKILL
    # It was in the middle: some of the files are there, aside.
    assert list((base / pusher.PARTIAL).rglob("variables.index"))
    assert versions(base) == []
    push("first")
    assert versions(base) == ["first"]
    assert not (base / pusher.PARTIAL).exists()


def test_a_disk_that_fills_up_leaves_the_versions_as_they_were(push, base, monkeypatch):
    push("first")

    def fill():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    at_last_file(monkeypatch, fill)
    with pytest.raises(OSError, match="No space left on device"):
        push("second")
    assert versions(base) == ["first"]
    assert [path.name for path in base.iterdir() if not path.name.isdecimal()] == []


def test_versions_rise_whatever_the_clock_says(push, base):
    late = 9_999_999_999
    pushed = push("first")
    pathlib.Path(pushed.get_string_custom_property("pushed_destination")).rename(base / str(late))
    second = push("second")
    assert versions(base) == ["first", "second"]
    assert second.get_string_custom_property("pushed_version") == str(late + 1)


def test_a_model_of_the_same_size_and_time_is_another(push, base, monkeypatch):
    is_same = pusher._is_same

    def is_same_of_one_moment(*folders):
        for path in (path for folder in folders for path in folder.rglob("*")):
            os.utime(path, (0, 0))
        return is_same(*folders)

    monkeypatch.setattr(pusher, "_is_same", is_same_of_one_moment)
    push("this")
    push("that")
    assert versions(base) == ["this", "that"]


def test_the_latest_model_is_not_pushed_twice_but_a_former_one_is(push, base):
    first, again = push("first"), push("first")
    property_of = "pushed_destination"
    assert again.get_string_custom_property(property_of) == first.get_string_custom_property(
        property_of
    )
    push("second")
    push("first")
    assert versions(base) == ["first", "second", "first"]
