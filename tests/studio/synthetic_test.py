import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import actions, filming, people, synthetic

PERFECT = {"noise_px": 0.0, "gross_error_rate": 0.0, "missing_rate": 0.0, "dropped_view_rate": 0.0}
SMALL = {"num_subjects": 2, "num_clips": 3, "num_frames": 20}
ARRAYS = ("keypoints_2d", "confidence", "pose_world")


def _same(first, second):
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ARRAYS)


def _bone_lengths(motion):
    parents, children = np.transpose(skeletons.H36M_17.bones)
    return np.linalg.norm(motion[:, children] - motion[:, parents], axis=-1)


def _single(camera, view):
    return cameras.Camera(*(np.asarray(value)[view] for value in camera))


@pytest.fixture(scope="module")
def recorded():
    person = people.draw_person(99, "actor")
    rng = np.random.default_rng(0)
    return {
        f"{number:02d}_{action}": actions.perform(action, person, 40, 60.0, rng).astype(np.float32)
        for number, action in enumerate(("walking", "boxing", "sitting", "bending"))
    }


@pytest.fixture(scope="module")
def path(recorded, tmp_path_factory):
    path = tmp_path_factory.mktemp("motions") / "motions.npz"
    np.savez(path, **recorded)
    return str(path)


def test_clips_are_named_after_subject_action_and_take():
    studio = synthetic.Studio(num_subjects=2, num_clips=3, actions=("boxing", "sitting"))
    takes = "boxing_01", "sitting_01", "boxing_02"
    assert studio.clips() == [f"{who}_{take}" for who in ("S01", "S02") for take in takes]


def test_a_clip_says_what_it_is():
    studio = synthetic.Studio(**SMALL, frame_rate=30.0, rig="ring", num_cameras=5)
    clip = studio.read("S02_turning_01")
    assert (clip.name, clip.subject, clip.action) == ("S02_turning_01", "S02", "turning")
    assert (clip.frame_rate, clip.num_frames, clip.num_views) == (30.0, 20, 5)
    assert len(set(clip.camera_names)) == 5
    assert clip.pose_world.shape == (20, 17, 3)


def test_a_clip_does_not_depend_on_what_was_read_before():
    first, second = synthetic.Studio(**SMALL), synthetic.Studio(**SMALL)
    forward = {clip: first.read(clip) for clip in first.clips()}
    backward = {clip: second.read(clip) for clip in reversed(second.clips())}
    assert all(_same(forward[clip], backward[clip]) for clip in forward)
    assert [_same(clip, forward[clip.name]) for clip in first] == [True] * 6


def test_noise_free_keypoints_are_the_projections_of_the_true_pose():
    for rig, num_cameras in (("h36m_like", 4), ("ring", 3)):
        studio = synthetic.Studio(**SMALL, **PERFECT, rig=rig, num_cameras=num_cameras)
        clip = studio.read("S01_walking_01")
        assert (clip.confidence > 0).all()
        for view in range(num_cameras):
            camera = _single(clip.camera, view)
            points_camera = cameras.camera_from_world(clip.pose_world, camera)
            expected = cameras.project(points_camera, camera.intrinsics)
            np.testing.assert_allclose(clip.keypoints_2d[view], expected, atol=1e-6)


def test_detections_are_as_noisy_as_asked():
    errors = []
    for noise_px in (1.0, 4.0):
        noisy = synthetic.Studio(**SMALL, **(PERFECT | {"noise_px": noise_px}))
        exact = synthetic.Studio(**SMALL, **PERFECT)
        pairs = ((noisy.read(clip), exact.read(clip)) for clip in exact.clips())
        errors.append(np.median([np.abs(a.keypoints_2d - b.keypoints_2d) for a, b in pairs]))
    np.testing.assert_allclose(errors[1] / errors[0], 4.0, rtol=0.01)


def test_a_detector_accepts_tensors_and_refuses_other_shapes():
    camera = cameras.Camera(*(tf.constant(value) for value in filming.ring(3)))
    motion = actions.perform(
        "waving", people.draw_person(0, "a"), 5, 25.0, np.random.default_rng(0)
    )
    keypoints_2d, confidence = filming.Detector().detect(motion, camera, np.random.default_rng(0))
    assert (keypoints_2d.shape, confidence.shape) == ((3, 5, 17, 2), (3, 5, 17))
    with pytest.raises(ValueError, match=r"`motion` must have shape \[T, 17, 3\].*\(5, 16, 3\)"):
        filming.Detector().detect(motion[:, :16], camera, np.random.default_rng(0))


def test_from_motion_takes_its_subjects_body_and_stays_in_the_room(recorded):
    studio = synthetic.Studio(rig="ring", num_cameras=2, rig_jitter=0.0, **PERFECT)
    motion, rng = recorded["02_sitting"] + [50.0, 3.0, -1.0], np.random.default_rng(0)
    about = {"action": "sitting", "frame_rate": 60.0}
    clip = synthetic.from_motion(studio, "clip", "anyone", motion, rng, **about)
    expected = people.draw_person(studio.seed, "anyone").bone_lengths[1:]
    too_long = _bone_lengths(clip.pose_world) - expected
    np.testing.assert_allclose(too_long, 0, atol=1e-5)
    assert np.linalg.norm(clip.pose_world[:, 0, :2], axis=-1).max() < 1.5
    assert (clip.confidence > 0).all()


def test_a_motion_studio_films_all_motions_of_a_file_or_the_asked_ones(path, recorded):
    assert synthetic.MotionStudio(path=path).clips() == sorted(recorded)
    some = synthetic.MotionStudio(path=path, motions=("02_sitting", "00_walking"))
    assert [clip.name for clip in some] == ["02_sitting", "00_walking"]
    assert some.read("02_sitting").frame_rate == 60.0


def test_a_motion_studio_keeps_true_bone_directions_but_for_the_heading(path, recorded):
    for clip in synthetic.MotionStudio(path=path):
        directions = []
        for motion in (recorded[clip.name].astype(np.float64), clip.pose_world):
            parents, children = np.transpose(skeletons.H36M_17.bones)
            bones = motion[:, children] - motion[:, parents]
            directions.append(bones / np.linalg.norm(bones, axis=-1, keepdims=True))
        before, after = directions
        np.testing.assert_allclose(after[..., 2], before[..., 2], atol=1e-5)
        angles = [np.arctan2(bones[..., 1], bones[..., 0]) for bones in directions]
        turned = np.exp(1j * (angles[1] - angles[0]))[np.abs(before[..., 2]) < 0.9]
        np.testing.assert_allclose(turned, turned[0], atol=1e-3)


def test_a_motion_studio_gives_each_motion_a_made_up_body(path):
    subjects = set()
    for seed in range(4):
        for clip in synthetic.MotionStudio(path=path, num_subjects=3, seed=seed):
            expected = people.draw_person(seed, clip.subject).bone_lengths[1:]
            lengths = _bone_lengths(clip.pose_world)
            np.testing.assert_allclose(lengths, np.tile(expected, (40, 1)), rtol=1e-5)
            subjects.add(clip.subject)
    assert subjects == {"S01", "S02", "S03"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_clips": 0}, "`num_clips` must be at least 1. Received: 0"),
        ({"num_frames": 0}, "`num_frames` must be at least 1. Received: 0"),
        ({"frame_rate": 0.0}, "`frame_rate` must be above 0 and at most 1000 per second. Receive"),
        ({"actions": ("flying",)}, r"`actions` must name some of walking.*\('flying',\)"),
        ({"actions": ()}, r"`actions` must name some of walking.*Received: \(\)"),
        ({"actions": ("boxing", "boxing")}, "`actions` must name some of .*, each once.*boxing"),
        ({"num_subjects": 0}, "`num_subjects` must be at least 1. Received: 0"),
        ({"rig": "dome"}, "`rig` must be one of h36m_like, ring. Received: 'dome'"),
        ({"rig": "ring", "num_cameras": 1}, "`num_cameras` must be 2 or more.*1"),
        ({"num_cameras": 5}, "`num_cameras` must be 4 with rig='h36m_like'"),
        ({"rig_jitter": -1.0}, "`rig_jitter` must be at least 0. Received: -1.0"),
        ({"seed": -1}, "`seed` must be at least 0. Received: -1"),
        ({"noise_px": -1.0}, "`noise_px` must be a number, 0 or more"),
    ],
)
def test_a_studio_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        synthetic.Studio(**settings)


def test_a_motion_studio_that_cannot_be_is_refused(path):
    with pytest.raises(ValueError, match="`frame_rate` must be above 0"):
        synthetic.MotionStudio(path=path, frame_rate=-1.0)
    with pytest.raises(ValueError, match="`motions` must name each once"):
        synthetic.MotionStudio(path=path, motions=("a", "a"))


def test_an_unknown_clip_is_refused(path):
    with pytest.raises(ValueError, match=r"`clip` must be one of `clips\(\)`.*'S09_boxing_01'"):
        synthetic.Studio(**SMALL).read("S09_boxing_01")
    with pytest.raises(ValueError, match="`nothing` must be an array of the archive"):
        synthetic.MotionStudio(path=path).read("nothing")
    with pytest.raises(ValueError, match=r"`clip` must be one of `clips\(\)`.*'01_boxing'"):
        synthetic.MotionStudio(path=path, motions=("00_walking",)).read("01_boxing")
