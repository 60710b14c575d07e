import contextlib
import dataclasses
import re
import types
import warnings

import numpy as np
import pytest

from keras_mvlift import errors, inference, skeletons
from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.lifting import lift, smoothing, tracks_2d, viewpoints
from keras_mvlift.lifting import lift as lifting_lift
from tests import tiny_studio
from tests.lifting import people

RNG = np.random.default_rng(0)
TRACKS = tracks_2d.of_arrays(
    RNG.uniform(300, 700, (6, 2, 17, 2)),
    RNG.uniform(0.1, 1, (6, 2, 17)),
    names=("anna", "ben"),
    frame_rate=50.0,
    first_frame=4,
    image_size=(1000, 1000),
)
CAMERA = viewpoints.from_intrinsics(1100, 1120, 510, 490)
ROTATION = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
PLACED = dataclasses.replace(CAMERA, rotation=ROTATION, center=np.array([1.0, 2, 3]))


@pytest.fixture(scope="module")
def model(model_folder):
    return inference.load_model(model_folder)


def changed(person, frame, confidence):
    seen = TRACKS.confidence.copy()
    seen[person, frame] = confidence
    return dataclasses.replace(TRACKS, confidence=seen)


SEEN = people.walking("h36m_17")
WALK_VIEWPOINT = viewpoints.Viewpoint(
    intrinsics=people.WALK_CAMERA.intrinsics,
    rotation=people.WALK_CAMERA.rotation,
    center=people.WALK_CAMERA.center,
)
SIZE = (1000, 1000)


@pytest.fixture(scope="module")
def shipped():
    return inference.load_model("studio")


def lifted(
    model, keypoints, camera=WALK_VIEWPOINT, size=SIZE, joint_names=skeletons.H36M_17.joints
):
    """Returns the clip, and what was warned about."""
    tracks = tracks_2d.of_arrays(
        keypoints, joint_names=joint_names, frame_rate=50.0, image_size=size
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        clip = lift.lift(model, tracks, camera)
    assert all(issubclass(each.category, errors.InputWarning) for each in told)
    return clip, [str(each.message) for each in told]


KEYPOINTS = np.random.default_rng(0).uniform(300, 700, (3, 17, 2))
CONFIDENCE = np.ones((3, 17))
K = tiny_studio.INTRINSICS
EYE, ORIGIN = np.eye(3), np.zeros(3)
NAN = float("nan")


def with_value(array, value, index=(0, 1)):
    array = np.array(array, np.float64)
    array[index] = value
    return array


WRONG_TRACKS = {
    "no frames": ({"keypoints_2d": KEYPOINTS[:0], "confidence": None}, "of at least one person"),
    "rate": ({"frame_rate": NAN}, "`frame_rate` must be 1 to 1000 per second where"),
    "rate in milliseconds": ({"frame_rate": 0.05}, "`frame_rate` must be 1 to 1000 .* millisec"),
    "rate in words": ({"frame_rate": "fast"}, "`frame_rate` must be a number. Received: 'fast'"),
    "no rate": ({"frame_rate": None}, "`frame_rate` must be given"),
    "first frame": ({"first_frame": -1}, "`first_frame` must be a whole number"),
    "joints": (
        {"joint_names": tuple(map(str, range(17)))},
        "must be those of a joint set, such as nose",
    ),
    "image size": ({"image_size": (0, 9)}, "`image_size` must be width and height"),
}
CAMERAS = {
    "focal 0": ({"intrinsics": with_value(K, 0, (0, 0))}, "`intrinsics` must be .* focal"),
    "focal -1": ({"intrinsics": with_value(K, -1, (1, 1))}, "`intrinsics` must be .* focal"),
    "nan": ({"intrinsics": with_value(K, NAN, (0, 2))}, "`intrinsics` must be"),
    "shape": ({"intrinsics": np.eye(4)}, r"`intrinsics` must be \[3, 3\]"),
    "words": ({"intrinsics": "wide"}, "`intrinsics` must be an array of numbers"),
    "scaled": ({"rotation": 2 * EYE}, r"`rotation` must be \[3, 3\], a rotation"),
    "mirror": ({"rotation": -EYE}, r"`rotation` must be \[3, 3\], a rotation"),
    "rotation nan": ({"rotation": NAN * EYE}, "`rotation` must be"),
    "rotation's shape": ({"rotation": np.eye(4)}, "`rotation` must be"),
    "center's shape": ({"center": np.zeros(4)}, r"`center` must be \[3\], finite"),
    "center nan": ({"center": NAN * ORIGIN}, "`center` must be"),
    "place by half": ({"center": None}, "`rotation and center` must be given together"),
    "distortion": ({"distortion": [NAN] * 5}, "`distortion` must be OpenCV's"),
    "image size": ({"image_size": (9, NAN)}, "`image_size` must be width and height"),
    "one side": ({"image_size": (9,)}, "`image_size` must be width and height"),
}


def test_each_space_is_what_the_model_says_placed(model):
    lifted = model.lift(TRACKS.keypoints_2d, TRACKS.confidence, CAMERA)
    expected = {
        "root": lifted.root_relative_pose,
        "camera": lifted.pose_camera,
        "world": np.einsum("ji,ptkj->ptki", ROTATION, lifted.pose_camera) + PLACED.center,
    }
    for space, poses in expected.items():
        clip = lifting_lift.lift(model, TRACKS, PLACED, space=space, is_steady=False)
        assert (clip.space, clip.frame_rate, clip.first_frame) == (space, 50.0, 4)
        assert [track.name for track in clip.tracks] == ["anna", "ben"]
        found = np.stack([track.pose for track in clip.tracks])
        np.testing.assert_allclose(found, poses, atol=1e-4)
        # Around the pelvis there is no place from which people were seen.
        assert clip.about.get("viewpoint") == (None if space == "root" else PLACED.as_data())
    np.testing.assert_array_equal(clip.tracks[1].confidence, TRACKS.confidence[1])
    np.testing.assert_array_equal(clip.tracks[1].keypoints_2d, TRACKS.keypoints_2d[1])
    assert (clip.joint_names, clip.image_size) == (model.joint_names, (1000, 1000))


def test_the_space_is_the_most_that_the_camera_tells(model):
    assert lifting_lift.lift(model, TRACKS, PLACED).space == "world"
    assert lifting_lift.lift(model, TRACKS, CAMERA).space == "camera"
    sentence = "`camera` was left out: taking a field of view like training's, focal length"
    with pytest.warns(UserWarning, match=sentence):
        assert lifting_lift.lift(model, TRACKS).space == "root"


def test_a_frame_with_too_few_joints_has_no_pose_and_no_confidence(model):
    few = np.where(np.arange(17) < lifting_lift.MIN_JOINTS - 1, 0.9, 0.0)
    track = lifting_lift.lift(model, changed(1, 2, few), CAMERA, max_gap=0).tracks[1]
    assert np.flatnonzero(~track.is_present.any(axis=1)).tolist() == [2]
    assert (track.confidence[2] == 0).all()
    # What was seen is told all the same.
    np.testing.assert_array_equal(track.keypoint_confidence[2], few)
    assert np.isnan(track.keypoints_2d[2, -1]).all()
    enough = np.where(np.arange(17) < lifting_lift.MIN_JOINTS, 0.9, 0.0)
    assert lifting_lift.lift(model, changed(1, 2, enough), CAMERA).tracks[1].is_present.all()


def test_joints_of_a_detector_become_the_models(model):
    keypoints = RNG.uniform(300, 700, (3, 25, 2))
    body = skeletons.BODY_25B.joints
    tracks = tracks_2d.of_arrays(keypoints, joint_names=body, frame_rate=50.0)
    (track,) = lifting_lift.lift(model, tracks, CAMERA, is_steady=False).tracks
    expected = skeletons.Converter(body).keypoints(keypoints)
    np.testing.assert_allclose(track.keypoints_2d, expected)
    lifted = model.lift(expected, None, CAMERA)
    np.testing.assert_allclose(track.pose, lifted.pose_camera, atol=1e-4)


def test_the_model_is_told_whose_joints_they_were(model, monkeypatch):
    keypoints = RNG.uniform(300, 700, (3, 17, 2))
    monkeypatch.setattr(model, "joint_mixes", {"coco_17": 2.0 * np.eye(17, dtype=np.float32)})
    for skeleton in (skeletons.COCO_17, skeletons.H36M_17):
        tracks = tracks_2d.of_arrays(keypoints, joint_names=skeleton.joints, frame_rate=50.0)
        (track,) = lifting_lift.lift(model, tracks, CAMERA, is_steady=False).tracks
        lifted = model.lift(keypoints, None, CAMERA, skeleton=skeleton.name)
        np.testing.assert_allclose(track.pose, lifted.pose_camera, atol=1e-4)


def test_a_lens_is_made_straight_before_lifting_and_shown_bent(model):
    bent = dataclasses.replace(CAMERA, distortion=np.array([-0.2, 0.05, 0, 0, 0]))
    (track, _) = lifting_lift.lift(model, TRACKS, bent).tracks
    np.testing.assert_array_equal(track.keypoints_2d, TRACKS.keypoints_2d[0])
    straight = lifting_lift.lift(model, TRACKS, CAMERA).tracks[0]
    assert np.abs(track.pose - straight.pose).max() > 1e-3


def test_smoothing_takes_pose_and_root_each_on_its_own(model):
    smoother = smoothing.Butterworth()
    lifted = model.lift(TRACKS.keypoints_2d[0], TRACKS.confidence[0], CAMERA)
    pose = smoother.smooth(lifted.root_relative_pose, 25.0)
    expected = pose + smoother.smooth(lifted.root_position, 25.0)[:, np.newaxis]
    options = {"smoother": smoother, "frame_rate": 25.0, "is_steady": False}
    clip = lifting_lift.lift(model, TRACKS, CAMERA, **options)
    np.testing.assert_allclose(clip.tracks[0].pose, expected, atol=1e-4)
    assert clip.about["is_smoothed"] is True


def statures(clip):
    poses = np.stack([track.pose for track in clip.tracks])
    return skeletons.stature(poses, clip.joint_names)


def test_people_are_of_one_size_in_all_frames_and_its_spread_is_told(model):
    few = changed(1, 2, 0.0)
    free = lifting_lift.lift(model, few, CAMERA, max_gap=0, is_steady=False)
    clip = lifting_lift.lift(model, few, CAMERA, max_gap=0)
    assert statures(free)[0].std() > 1e-3
    expected = np.nanmedian(statures(free), axis=1)
    np.testing.assert_allclose(np.nanstd(statures(clip), axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(np.nanmedian(statures(clip), axis=1), expected, rtol=1e-4)
    low, high = np.nanquantile(statures(free), [0.16, 0.84], axis=1)
    spread = (high - low) / 2 / expected
    for note, values in (("stature", expected), ("stature_spread", spread)):
        np.testing.assert_allclose([*clip.about[note].values()], values, atol=1e-3)
        assert clip.about[note] == free.about[note]


def test_distances_are_steady_and_where_the_image_has_them(model):
    # Roots as the model has them, then half as far from one size.
    free, steady = (
        lifting_lift.lift(model, TRACKS, CAMERA, is_steady=is_steady) for is_steady in (False, True)
    )
    root = np.stack([track.pose[:, 0] for track in free.tracks])
    stature = np.array([*free.about["stature"].values()])[:, None, None]
    root *= np.sqrt(stature / statures(free)[..., None])
    depth = np.swapaxes(np.log(root[..., 2:]), 0, 1)
    smooth = smoothing.Butterworth(cutoff=2.0).smooth(depth, 50.0)
    expected = root * np.exp(np.swapaxes(smooth - depth, 0, 1))
    found = np.stack([track.pose[:, 0] for track in steady.tracks])
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert np.diff(found[..., 2], 2, axis=1).std() < 0.5 * np.diff(root[..., 2], 2, axis=1).std()


def test_a_known_height_scales_pose_and_place_alike(model):
    own = lifting_lift.lift(model, TRACKS, CAMERA)
    clip = lifting_lift.lift(model, TRACKS, CAMERA, height=[1.2, 1.8])
    np.testing.assert_allclose(statures(clip), [[1.2] * 6, [1.8] * 6], rtol=1e-5)
    assert clip.about["stature"] == {"anna": 1.2, "ben": 1.8}
    for index, track in enumerate(clip.tracks):
        scale = (1.2, 1.8)[index] / statures(own)[index, 0]
        np.testing.assert_allclose(track.pose, scale * own.tracks[index].pose, rtol=1e-4)
    free = lifting_lift.lift(model, TRACKS, CAMERA, height=1.8, is_steady=False)
    np.testing.assert_allclose(np.median(statures(free), axis=1), 1.8, rtol=1e-5)
    assert statures(free).std() > 1e-3


def test_a_model_trained_mirrored_tells_how_sure_joints_are(model, monkeypatch):
    assert lifting_lift.lift(model, TRACKS, CAMERA).tracks[0].uncertainty is None
    monkeypatch.setitem(model.description, "is_mirrored", True)
    clip = lifting_lift.lift(model, TRACKS, CAMERA, is_steady=False)
    flipped = model.lift(TRACKS.keypoints_2d, TRACKS.confidence, CAMERA, flip=True)
    np.testing.assert_allclose(clip.tracks[1].pose, flipped.pose_camera[1], atol=1e-4)
    np.testing.assert_allclose(clip.tracks[1].uncertainty, flipped.joint_uncertainty[1], atol=1e-5)


def test_a_long_clip_is_lifted_in_parts_and_every_one_is_told(model, monkeypatch):
    whole = lifting_lift.lift(model, TRACKS, CAMERA)
    monkeypatch.setattr(lifting_lift, "_FRAMES_AT_ONCE", 4)
    told = []
    parts = lifting_lift.lift(
        model, TRACKS, CAMERA, progress=lambda pieces: told.extend(pieces) or pieces
    )
    assert len(told) == 4
    for one, other in zip(whole.tracks, parts.tracks, strict=True):
        np.testing.assert_allclose(one.pose, other.pose, atol=1e-5)


def test_a_models_own_uncertainty_goes_along(model):
    def lift(keypoints, confidence, camera):
        lifted = model.lift(keypoints, confidence, camera)
        return dataclasses.replace(lifted, joint_uncertainty=np.full(confidence.shape, 0.02))

    sure = types.SimpleNamespace(lift=lift, joint_names=model.joint_names, parents=model.parents)
    options = {"max_gap": 0, "is_steady": False}
    track = lifting_lift.lift(sure, changed(1, 2, 0.0), CAMERA, **options).tracks[1]
    np.testing.assert_allclose(track.uncertainty[0], 0.02)
    assert np.isnan(track.uncertainty[2]).all()
    assert lifting_lift.lift(model, TRACKS, CAMERA).tracks[1].uncertainty is None


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        ({"frame_rate": None}, {}, "`frame_rate` must be given, for the input tells none."),
        ({}, {"frame_rate": 1e9}, "`frame_rate` must be above 0 and at most 1000 per second."),
        ({}, {"frame_rate": 0.0}, "`frame_rate` must be above 0 and at most 1000 per second. Rece"),
        ({}, {"height": [1.7] * 3}, "`height` must be one number or of shape [2]. Received: shape"),
        ({}, {"height": 175}, "`height` must be 0.4 to 2.8 meters. Received: 175.0."),
        ({}, {"space": "scene"}, "`space` must be one of root, camera, world. Received: 'scene'."),
        ({}, {"space": "world"}, "`camera` must be known, with rotation and center, for world"),
        ({"joint_names": tuple(map(str, range(17)))}, {}, "must be those of a joint set, such as"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_field(model, change, arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        lifting_lift.lift(model, dataclasses.replace(TRACKS, **change), CAMERA, **arguments)


def test_a_single_picture_needs_no_frame_rate(model):
    picture = tracks_2d.of_arrays(TRACKS.keypoints_2d[0, 0])
    assert lifting_lift.lift(model, picture, CAMERA).num_frames == 1


@pytest.mark.parametrize("name", skeletons.SKELETONS)
@pytest.mark.parametrize("size", [SIZE, None])
def test_what_is_right_is_silent(shipped, name, size):
    joints = skeletons.by_name(name).joints
    keypoints = people.walking(name)
    keypoints[::7, 3] = 0.0
    clip, told = lifted(shipped, keypoints, size=size, joint_names=joints)
    assert told == []
    true = np.asarray(people.WALK.pose_world)
    off = (clip.tracks[0].pose - clip.tracks[0].pose[:, :1]) - (true - true[:, :1])
    assert np.linalg.norm(off, axis=-1).mean() < 0.12


PIXELS = {
    "twice the size": (2 * SEEN, r"of the joints lie outside of the image of 1000 x 1000 \(up to"),
    "half the size": (SEEN / 2, r"All joints lie in the first \d\d% of the image"),
    "percents": (SEEN / 10, r"All joints lie in the first \d% of the image"),
    "y up": ([0, 1000] + SEEN * [1, -1], r"Heads are below feet in 100% of frames"),
    "other joints": (np.roll(SEEN, 3, axis=1), r"Poses lie \d\d% of a body's size off"),
}


@pytest.mark.parametrize("case", PIXELS)
def test_pixels_of_another_image_are_warned_about(shipped, case):
    keypoints, told = PIXELS[case]
    tracks = tracks_2d.of_arrays(keypoints, frame_rate=50.0, image_size=SIZE)
    with pytest.warns(errors.InputWarning, match=told):
        lift.lift(shipped, tracks, WALK_VIEWPOINT)


@pytest.mark.parametrize(
    ("sure", "expectation"),
    [
        (0.4, contextlib.nullcontext()),
        (0.6, pytest.raises(errors.ArgumentError, match="`image_size` must be width and height")),
    ],
)
def test_unsure_joints_outside_of_the_image_swap_no_sides(shipped, sure, expectation):
    confidence = np.where(SEEN[..., 1] > 500, sure, 0.9)
    facts = {"frame_rate": 50.0, "image_size": (700, 480)}
    tracks = tracks_2d.of_arrays(SEEN * [0.5, 0.8] + [0, 100], confidence, **facts)
    with expectation:
        lift.lift(shipped, tracks, WALK_VIEWPOINT)


def test_a_period_given_for_a_rate_is_warned_about(shipped):
    tracks = tracks_2d.of_arrays(SEEN, image_size=SIZE)
    with pytest.warns(errors.InputWarning, match=r"0\.04 frames per second: is that the time from"):
        lift.lift(shipped, tracks, WALK_VIEWPOINT, frame_rate=0.04)


@pytest.mark.parametrize(("low", "is_told"), [(0, True), (500, False)])
def test_an_image_likely_swapped_is_warned_about(shipped, low, is_told):
    keypoints = SEEN * [0.9, 0.8] + [70, low]
    _, told = lifted(shipped, keypoints, size=(620, 1100))
    expected = r"All joints lie in the upper \d\d% of .*: is it 1100 wide and 620 high\?"
    assert any(re.match(expected, each) for each in told) == is_told


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_shares_of_an_image_are_refused_and_nothing_else_is_said(shipped, scale):
    shares = SEEN / 1000 * scale - (scale - 1)
    tracks = tracks_2d.of_arrays(shares, frame_rate=50.0, image_size=SIZE)
    with pytest.raises(errors.ArgumentError, match="`keypoints_2d` must be pixels"):
        lift.lift(shipped, tracks, WALK_VIEWPOINT)


@pytest.mark.parametrize("up", [axis for axis in calibrations.UP_AXES if axis != "z"])
def test_another_axis_that_is_up_is_warned_about_by_name(shipped, up):
    turned = calibrations.turn_camera_back(people.WALK_CAMERA, up)
    camera = dataclasses.replace(WALK_VIEWPOINT, rotation=turned.rotation, center=turned.center)
    _, told = lifted(shipped, SEEN, camera)
    sentence = f"Backs of people point along the world's {up} axis, not z: is up {up} (--up)?"
    assert told == [sentence]
    pose = calibrations.turn_points_back(np.asarray(people.WALK.pose_world), up)
    with pytest.warns(errors.InputWarning, match=f"Backs of poses in a.trc point .* {up} axis"):
        lift.warn_of_world(pose, skeletons.H36M_17.joints, "poses in a.trc")


def test_people_far_from_the_worlds_origin_are_warned_about(shipped):
    camera = dataclasses.replace(WALK_VIEWPOINT, center=1000.0 * np.asarray(WALK_VIEWPOINT.center))
    _, told = lifted(shipped, SEEN, camera)
    assert len(told) == 1
    assert told[0].endswith("m from the world's origin: is the unit another (--unit)?")


def test_a_joint_that_is_lost_for_a_frame_at_a_time_is_where_it_was(shipped):
    whole, _ = lifted(shipped, SEEN)
    holes = SEEN.copy()
    holes[1::4, 13] = np.nan
    tracks = tracks_2d.of_arrays(holes, frame_rate=50.0, image_size=SIZE)
    wrist = [
        lift.lift(shipped, tracks, WALK_VIEWPOINT, max_gap=gap).tracks[0].pose[1::4, 13]
        for gap in (0.2, 0.0)
    ]
    off = [np.linalg.norm(each - whole.tracks[0].pose[1::4, 13], axis=-1).mean() for each in wrist]
    assert off[0] < 0.02
    assert off[1] > 0.04
    (track,) = lift.lift(shipped, tracks, WALK_VIEWPOINT).tracks
    np.testing.assert_allclose(track.confidence[1:-1:4, 13], 0.1)
    assert (track.keypoint_confidence[1::4, 13] == 0).all()


def test_limbs_swapped_in_some_frames_are_lifted_as_if_they_were_not(shipped):
    swapped, joints = SEEN.copy(), skeletons.H36M_17.joints
    order = list(skeletons.mirror_images(joints))
    swapped[10:14] = SEEN[10:14][:, order]
    tracks = tracks_2d.of_arrays(swapped, frame_rate=50.0, image_size=SIZE)
    whole, mended, left = (
        lift.lift(shipped, each, WALK_VIEWPOINT, mends_sides=mends)
        for each, mends in (
            (tracks_2d.of_arrays(SEEN, frame_rate=50.0, image_size=SIZE), False),
            (tracks, True),
            (tracks, False),
        )
    )
    np.testing.assert_allclose(mended.tracks[0].pose, whole.tracks[0].pose, atol=1e-6)
    assert np.abs(left.tracks[0].pose - whole.tracks[0].pose)[10:14].max() > 0.1
    assert mended.about["swapped_frames"] == {"person 1": 4}
    assert "swapped_frames" not in left.about


@pytest.mark.parametrize("value", [NAN, 0.0, -1.0])
def test_what_is_at_no_place_is_not_seen_in_arrays_and_tracks(model, value):
    nowhere, unseen = with_value(KEYPOINTS, value), with_value(CONFIDENCE, 0.0)
    lifted = model.lift(nowhere, CONFIDENCE, camera=K)
    expected = model.lift(KEYPOINTS, unseen, camera=K)
    np.testing.assert_array_equal(lifted.pose_camera, expected.pose_camera)
    assert tracks_2d.of_arrays(nowhere).confidence[0, 0, 1] == 0


@pytest.mark.parametrize("case", WRONG_TRACKS)
def test_bad_tracks_are_refused_by_name(model, case):
    changes, message = WRONG_TRACKS[case]
    known = {"keypoints_2d": KEYPOINTS, "confidence": CONFIDENCE, "frame_rate": 50.0}
    with pytest.raises(ValueError, match=message):
        lift.lift(model, tracks_2d.of_arrays(**known | changes), viewpoints.Viewpoint(intrinsics=K))


@pytest.mark.parametrize("case", CAMERAS)
def test_bad_cameras_are_refused_by_name(case):
    changes, message = CAMERAS[case]
    with pytest.raises(ValueError, match=message):
        viewpoints.Viewpoint(**{"intrinsics": K, "rotation": EYE, "center": ORIGIN} | changes)


@pytest.mark.parametrize("argument", ["model", "tracks", "viewpoint"])
def test_things_of_another_kind_are_refused_by_name(model, argument):
    tracks = tracks_2d.of_arrays(KEYPOINTS, frame_rate=50.0)
    known = {"model": model, "tracks": tracks, "viewpoint": viewpoints.Viewpoint(intrinsics=K)}
    with pytest.raises(ValueError, match=f"`{argument}` must .* Received: ndarray"):
        lift.lift(**known | {argument: K})
