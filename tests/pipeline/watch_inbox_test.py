import os
import time

import pytest

from pipeline import watch


@pytest.fixture
def watched(tmp_path):
    for name in ("monday", "tuesday", "late.partial", ".hidden", watch.SPANS, "empty"):
        (tmp_path / name).mkdir()
        if name != "empty":
            (tmp_path / name / "rig.yaml").touch()
    (tmp_path / "readme.txt").touch()
    return tmp_path


def names(watched, settle_seconds=0.0):
    return [path.name for path in watch.ready_recordings(watched, settle_seconds)]


def test_a_recording_is_a_folder_with_files_that_is_not_named_as_unfinished(watched):
    assert sorted(names(watched)) == ["monday", "tuesday"]


def test_what_comes_under_another_name_is_ready_when_it_is_renamed(watched):
    (watched / "late.partial").rename(watched / "late")
    assert "late" in names(watched)


def test_the_oldest_comes_first(watched):
    time.sleep(0.02)
    (watched / "monday" / "more").touch()
    assert names(watched) == ["tuesday", "monday"]


def test_a_recording_that_is_being_copied_is_left_alone(watched):
    assert names(watched, settle_seconds=60.0) == []
    time.sleep(0.3)
    assert names(watched, settle_seconds=0.2) != []
    (watched / "monday" / "cam_1.json").touch()
    assert names(watched, settle_seconds=0.2) == ["tuesday"]


def test_times_that_a_copy_takes_over_from_the_original_do_not_count(watched):
    time.sleep(0.3)
    # As `cp -p` and `rsync -a` leave them.
    os.utime(watched / "monday" / "rig.yaml", (0, 0))
    assert names(watched, settle_seconds=0.2) == ["tuesday"]


def test_an_unfinished_file_holds_its_recording_back(watched):
    (watched / "monday" / "cam_1.json.part").touch()
    assert names(watched) == ["tuesday"]
