import re

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.lifting import pose_clip
from tests.lifting import people

FULL = people.clip(
    people.track(pose=people.hidden(people.pose(), (0, 3)), uncertainty=None),
    people.track("reference", seed=1, is_reference=True, keypoints_2d=None),
    about={"model": "a", "notes": [1, None]},
)


@pytest.mark.parametrize("clip", [FULL, people.clip(image_size=None, space="root")])
def test_what_is_written_is_read_again_to_the_last_bit(tmp_path, clip):
    path = tmp_path / "poses.npz"
    pose_clip.write_npz(clip, path)
    people.assert_same(pose_clip.read_npz(path), clip)


def test_numpy_alone_reads_the_arrays(tmp_path):
    pose_clip.write_npz(FULL, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["pose"].shape == (2, 12, 17, 3)
        assert arrays["track_names"].tolist() == ["person 1", "reference"]
        assert np.isnan(arrays["uncertainty"][0]).all()


def test_other_archives_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, pose=np.zeros((1, 2, 3)))
    rule = "`arrays` must be poses as `keras-mvlift lift` writes them. Received: no `image_size`"
    with pytest.raises(errors.RecordingError, match=re.escape(rule)):
        pose_clip.read_npz(path)
    path.write_bytes(b"no archive")
    with pytest.raises(errors.RecordingError, match=r"`file` must be an \.npz archive"):
        pose_clip.read_npz(path)
