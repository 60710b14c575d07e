import numpy as np
import pytest

from keras_mvlift import configs
from keras_mvlift.experiments import origins, variants
from tests.experiments import motion_clips_test, tiny_experiments


def test_the_studio_films_each_side_as_it_is_told():
    settings = variants.DataSettings(
        filming=variants.Filming(rig="ring", num_cameras=5),
        test_filming=variants.Filming(rig="ring", num_cameras=2),
    )
    clips = tiny_experiments.STUDIO.load(settings).clips
    views = {clip.subject: clip.num_views for clip in clips}
    assert views == {"S01": 5, "S02": 5, "S03": 2}


def test_less_noise_is_nearer_the_truth_and_the_motion_stays():
    quiet = variants.DataSettings(filming=variants.Filming(noise_px=0.0))
    first = tiny_experiments.STUDIO.load(quiet).clips[0]
    other = tiny_experiments.STUDIO.load(variants.DataSettings()).clips[0]
    np.testing.assert_array_equal(first.pose_world, other.pose_world)
    assert not np.array_equal(first.keypoints_2d, other.keypoints_2d)


def test_motions_are_described_by_their_content_not_their_place(tmp_path):
    described = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        path = motion_clips_test.write(tmp_path / folder / "a.npz", "01_1", "02_1")
        described.append(origins.MotionOrigin(paths=(path,)).describe())
    assert described[0] == described[1]
    path = motion_clips_test.write(tmp_path / "one" / "a.npz", "01_1", "02_1", num_frames=7)
    assert origins.MotionOrigin(paths=(path,)).describe() != described[0]


def test_recordings_are_read_and_not_filmed_again():
    options = '{"num_subjects": 2, "num_clips": 1, "num_frames": 4}'
    config = configs.DataConfig(
        source="studio",
        source_options=options,
        split="subject",
        split_options='{"test_subjects": ["S02"]}',
    )
    origin = origins.RecordingOrigin(config=config, data_root="")
    assert [clip.subject for clip in origin.load(variants.DataSettings()).clips] == ["S01", "S02"]
    with pytest.raises(origins.NotApplicableError):
        origin.load(variants.DataSettings(filming=variants.Filming()))
    assert origin.describe()["source"] == "studio"
