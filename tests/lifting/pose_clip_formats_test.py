import re

import pytest

from keras_mvlift import errors
from keras_mvlift.lifting import pose_clip
from tests.lifting import people


@pytest.mark.parametrize("ending", [*pose_clip.ENDINGS, ".JSON", ".C3D"])
def test_a_clip_is_written_by_its_ending(tmp_path, ending):
    path = tmp_path / f"poses{ending}"
    assert pose_clip.write(people.clip(), str(path)) == (path,)
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("ending", [".json", ".npz"])
def test_a_clip_is_read_by_its_ending(tmp_path, ending):
    path = tmp_path / f"poses{ending}"
    pose_clip.write(people.clip(), path)
    read = pose_clip.read(str(path))
    people.assert_same(read, people.clip(), meters=6e-6, pixels=6e-4, share=6e-4)


def test_other_endings_are_refused_with_those_that_there_are(tmp_path):
    sentence = "`file name` must end in .json, .csv, .npz, .trc, .c3d, .bvh to write poses."
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)):
        pose_clip.write(people.clip(), tmp_path / "poses.xlsx")
    sentence = "`file name` must end in .json, .npz to read poses. Received: poses.trc."
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)):
        pose_clip.read(tmp_path / "poses.trc")


def test_what_was_there_stays_when_a_format_cannot_hold_a_clip(tmp_path):
    path = tmp_path / "poses.bvh"
    path.write_text("old")
    never = people.hidden(people.pose(), (slice(None), 10))
    with pytest.raises(ValueError, match="must have every joint"):
        pose_clip.write(people.clip(people.track(pose=never)), path)
    assert path.read_text() == "old"
