import numpy as np
import pytest

from keras_mvlift import configs
from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import origins, variants
from keras_mvlift.studio import synthetic
from tests.experiments import tiny_experiments


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
        path = write(tmp_path / folder / "a.npz", "01_1", "02_1")
        described.append(origins.MotionOrigin(paths=(path,)).describe())
    assert described[0] == described[1]
    path = write(tmp_path / "one" / "a.npz", "01_1", "02_1", num_frames=7)
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


def test_frames_between_leave_the_lifted_ones_where_they_were(tmp_path):
    names = ("01_1", "02_1", "03_1")
    path = write(tmp_path / "a.npz", *names, num_frames=12)
    origin = origins.MotionOrigin(paths=(path,), max_train_frames=8, max_test_frames=5)
    thin = origin.load(variants.DataSettings())
    film = origin.load(variants.DataSettings(has_frames_between=True))
    assert (film.config.stride, film.config.test_stride) == (3, 3)
    assert (thin.config.stride, thin.config.test_stride) == (1, 1)
    for few, every in zip(thin.clips, film.clips, strict=True):
        assert (few.num_frames, every.num_frames) == (4, 12)
        # Not the place in the room, which depends on the whole way.
        relative = [clip.pose_world - clip.pose_world[:, :1] for clip in (few, every)]
        np.testing.assert_allclose(relative[0], relative[1][::3], atol=1e-9)


def test_the_studio_s_frames_between_are_of_the_same_seconds():
    film = tiny_experiments.STUDIO.load(variants.DataSettings(has_frames_between=True))
    thin = tiny_experiments.STUDIO.load(variants.DataSettings())
    few, every = thin.clips[0], film.clips[0]
    assert every.num_frames == film.config.stride * few.num_frames
    assert every.num_frames / every.frame_rate == few.num_frames / few.frame_rate


def _studio(stride, num_subjects):
    options = f'{{"num_subjects": {num_subjects}, "num_clips": 1, "num_frames": 8}}'
    return configs.DataConfig(
        source="studio",
        source_options=options,
        split="subject",
        split_options='{"test_subjects": ["S02"]}',
        stride=stride,
        test_stride=stride,
    )


def test_other_recordings_are_tested_on_where_a_row_wants_another_rig():
    origin = origins.RecordingOrigin(
        config=_studio(2, 3), data_root="", test_config=_studio(4, 2), test_data_root=""
    )
    near = origin.load(variants.DataSettings())
    far = origin.load(variants.DataSettings(test_filming=variants.Filming()))
    assert [clip.name for clip in near.clips] == [f"S0{n}_walking_01" for n in (1, 2, 3)]
    names = ["S01_walking_01", "S03_walking_01", "elsewhere_S02_walking_01"]
    assert [clip.name for clip in far.clips] == names
    assert [clip.num_frames for clip in far.clips] == [4, 4, 2]
    assert origin.describe()["tested_elsewhere"]["num_clips"] == 2
    for refused in ({"filming": variants.Filming()}, {"has_frames_between": True}):
        with pytest.raises(origins.NotApplicableError):
            origin.load(variants.DataSettings(test_filming=variants.Filming(), **refused))


def test_frames_of_recordings_keep_their_numbers():
    origin = origins.RecordingOrigin(config=_studio(3, 2), data_root="")
    data = training_data.TrainingData(origin, variants.DataSettings())
    assert set(data.test.frame) == {0, 3, 6}
    whole = training_data.TrainingData(origin, variants.DataSettings(has_frames_between=True))
    np.testing.assert_array_equal(whole.test.frame, data.test.frame)
    np.testing.assert_array_equal(whole.seen.keypoints_2d, data.seen.keypoints_2d)


def write(path, *names, num_frames=6):
    studio = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=num_frames)
    motion = studio.read(studio.clips()[0]).pose_world
    np.savez(path, **{name: motion for name in names})
    return str(path)


def test_people_and_actions_are_told_from_the_names(tmp_path):
    path = write(tmp_path / "a.npz", "01_walk_far_02", "02_07")
    found = {
        motion.name: (motion.subject, motion.action) for motion in origins.read_motions([path])
    }
    assert found == {"01_walk_far_02": ("01", "walk_far"), "02_07": ("02", "any")}


def test_clips_of_one_person_are_dealt_out_to_bodies(tmp_path):
    path = write(tmp_path / "a.npz", *(f"only_{number}" for number in range(20)))
    subjects = {motion.subject for motion in origins.read_motions([path])}
    assert 2 < len(subjects) <= origins.NUM_PSEUDO_SUBJECTS


def test_a_clip_in_two_files_is_refused_by_name(tmp_path):
    paths = [write(tmp_path / f"{name}.npz", "01_02") for name in "ab"]
    with pytest.raises(ValueError, match=r"name each clip once\. Received: twice \['01_02'\]"):
        origins.read_motions(paths)


def test_every_fourth_person_is_tested_on(tmp_path):
    path = write(tmp_path / "a.npz", *(f"{number:02d}_1" for number in range(1, 8)))
    assert origins.pseudo_test_subjects(origins.read_motions([path])) == ("03", "07")


def test_frames_are_thinned_to_the_limit(tmp_path):
    path = write(tmp_path / "a.npz", "01_1", "02_1", "03_1", num_frames=6)
    origin = origins.MotionOrigin(paths=(path,), max_train_frames=7)
    clips = {clip.name: clip for clip in origin.load(variants.DataSettings()).clips}
    assert [clips[name].num_frames for name in ("01_1", "02_1", "03_1")] == [3, 3, 6]
    assert clips["01_1"].frame_rate == 30.0


def test_each_person_has_a_body_of_their_own(tmp_path):
    path = write(tmp_path / "a.npz", "01_1", "02_1")
    clips = origins.MotionOrigin(paths=(path,)).load(variants.DataSettings()).clips
    thighs = [np.linalg.norm(c.pose_world[0, 2] - c.pose_world[0, 1]) for c in clips]
    assert abs(thighs[0] - thighs[1]) > 0.005


OPTIONS = '{"num_subjects": 2, "num_clips": 1, "num_frames": 12}'
CONFIG = configs.DataConfig(
    source="studio",
    source_options=OPTIONS,
    split="subject",
    split_options='{"test_subjects": ["S02"]}',
    stride=5,
    test_stride=4,
)


@pytest.fixture(scope="module")
def whole():
    return origins.read_recordings(CONFIG, "", is_whole=True)


@pytest.fixture(scope="module")
def thinned():
    return origins.read_recordings(CONFIG, "")


def test_only_frames_that_are_used_are_kept_and_know_their_numbers(whole, thinned):
    train, test = thinned.clips
    assert thinned.numbers[train.name].tolist() == [0, 5, 10]
    assert thinned.numbers[test.name].tolist() == [0, 4, 8]
    for clip, full in zip(thinned.clips, whole.clips, strict=True):
        number = thinned.numbers[clip.name]
        np.testing.assert_array_equal(clip.keypoints_2d, full.keypoints_2d[:, number])
        np.testing.assert_array_equal(clip.pose_world, full.pose_world[number])


def test_blocks_of_a_clip_train_and_test():
    config = configs.DataConfig(
        source="studio",
        source_options='{"num_subjects": 1, "num_clips": 1, "num_frames": 50}',
        split_options='{"num_blocks": 1, "block_length": 6, "gap": 3}',
        stride=10,
        test_stride=2,
    )
    found = origins.read_recordings(config, "")
    number, given = found.numbers[found.clips[0].name], found.split.by_clip[found.clips[0].name]
    # The block is that of frames 22 to 27; frames 19 to 30 are too near to train on.
    assert number[given.test].tolist() == [22, 24, 26]
    assert number[given.train].tolist() == [0, 10, 40]


def test_other_recordings_may_test_what_these_train(thinned):
    joined = origins.joined(thinned, thinned)
    names = [clip.name for clip in joined.clips]
    assert names == ["S01_walking_01", "elsewhere_S02_walking_01"]
    train, test = (joined.split.by_clip[name] for name in names)
    assert (len(train.train), len(train.test)) == (3, 0)
    assert (len(test.train), len(test.test)) == (0, 3)
    assert joined.numbers[names[1]].tolist() == [0, 4, 8]
