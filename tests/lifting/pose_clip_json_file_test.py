import json
import pathlib
import re

import jsonschema
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.lifting import pose_clip
from tests.lifting import people

SCHEMA = pathlib.Path(__file__).parents[2] / "docs" / "pose_clip.schema.json"
FULL = people.clip(
    people.track(pose=people.hidden(people.pose(), (0, 3)), uncertainty=None),
    people.track("unsure", uncertainty=people.hidden(np.full((12, 17), 0.02), (1, 4))),
    people.track("reference", seed=1, is_reference=True, keypoints_2d=None),
    about={"model": "a", "notes": [1, None]},
)


@pytest.mark.parametrize("clip", [FULL, people.clip(image_size=None, space="root")])
def test_what_is_written_is_read_again_and_fits_the_schema(tmp_path, clip):
    path = tmp_path / "poses.json"
    pose_clip.write_json(clip, path)
    people.assert_same(pose_clip.read_json(path), clip, meters=5.1e-6, pixels=5.1e-4, share=5.1e-4)
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(path.read_text()), schema)


def test_an_absent_joint_is_null_and_single_precision_leaves_no_digits(tmp_path):
    pose = people.hidden(np.full((1, 17, 3), 0.1, np.float32), (0, 3))
    bare = people.track(
        num_frames=1,
        pose=pose,
        **dict.fromkeys(("confidence", "uncertainty", "keypoints_2d", "keypoint_confidence")),
    )
    pose_clip.write_json(people.clip(bare), tmp_path / "a.json")
    (track,) = json.loads((tmp_path / "a.json").read_text())["tracks"]
    assert track["pose"][0][2:5] == [[0.1, 0.1, 0.1], None, [0.1, 0.1, 0.1]]
    assert set(track) == {"name", "is_reference", "pose"}


def damaged(change):
    content = {"format": pose_clip.JSON_FORMAT, "version": pose_clip.JSON_VERSION}
    return content | change


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "`format` must be 'keras-mvlift poses' of version 1. Received: list."),
        ({"format": "other"}, "`format` must be 'keras-mvlift poses' of version 1. Received: o"),
        (damaged({"version": 2}), "`format` must be 'keras-mvlift poses' of version 1."),
        (
            damaged({}),
            "`tracks` must be poses as docs/pose_clip.schema.json has them. Received: no",
        ),
    ],
)
def test_other_json_is_refused(tmp_path, content, sentence):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(errors.RecordingError, match=re.escape(sentence)):
        pose_clip.read_json(path)


def test_a_rule_that_a_file_breaks_is_told_by_field(tmp_path):
    path = tmp_path / "a.json"
    pose_clip.write_json(FULL, path)
    path.write_text(path.read_text().replace('"space": "world"', '"space": "here"'))
    with pytest.raises(errors.RecordingError, match="`space` must be one of root, camera, world"):
        pose_clip.read_json(path)
