import numpy as np
import pytest

from keras_mvlift.experiments import origins, variants
from keras_mvlift.studio import synthetic


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
    with pytest.raises(ValueError, match=r"name each clip once\. Received twice: \['01_02'\]"):
        origins.read_motions(paths)


def test_every_fourth_person_is_tested_on(tmp_path):
    path = write(tmp_path / "a.npz", *(f"{number:02d}_1" for number in range(1, 8)))
    assert origins.pseudo_test_subjects(origins.read_motions([path])) == ("03", "07")


def test_one_person_cannot_be_split():
    motion = origins.Motion("a_1", "a", "any", np.zeros((1, 17, 3)))
    with pytest.raises(ValueError, match="two subjects or more"):
        origins.pseudo_test_subjects([motion])


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
