import dataclasses

import numpy as np
from matplotlib import colors as mpl_colors

from keras_mvlift.visualization import pictures, pose_movie
from tests.visualization import pose_clips

SIZE = (480, 272)
OTHER = pose_clips.track("person 2", shift=(1.0, 0.0, 0.0))


def draw(clip, frames=(0,), title="", images=None):
    return list(pose_movie.draw_frames(clip, frames, SIZE, title, images))


def places(picture, color):
    """Columns of the picture that hold a color, nearly."""
    wanted = 255 * np.array(mpl_colors.to_rgb(color))
    return np.unique(np.nonzero(np.abs(picture - wanted).max(axis=-1) < 40)[1])


def sure(track):
    return dataclasses.replace(track, confidence=None, keypoint_confidence=None)


def test_pictures_have_the_size_asked_for():
    (picture,) = draw(pose_clips.clip())
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert picture.dtype == np.uint8


def test_frames_are_drawn_in_their_order_and_differ():
    clip = pose_clips.clip()
    first, last, again = draw(clip, (0, 11, 0))
    assert (first != last).any()
    np.testing.assert_array_equal(first, again)


def test_both_the_input_and_the_skeleton_tell_the_sides():
    (picture,) = draw(pose_clips.clip(sure(pose_clips.track())))
    for color in (pictures.LEFT, pictures.RIGHT):
        columns = places(picture, color)
        assert columns.min() < 0.4 * SIZE[0] < 0.5 * SIZE[0] < columns.max()
    # The person's left is on the right where the face is seen.
    assert places(picture, pictures.LEFT).max() > places(picture, pictures.RIGHT).max()


def test_without_an_input_the_skeleton_takes_the_whole_picture():
    fields = {"confidence": None, "keypoints_2d": None, "keypoint_confidence": None}
    (picture,) = draw(pose_clips.clip(pose_clips.track(**fields)))
    columns = places(picture, pictures.MIDDLE)
    assert abs(columns.mean() / SIZE[0] - 0.5) < 0.1


def test_an_absent_person_is_not_drawn():
    absent = sure(pose_clips.track())
    absent.pose[3] = absent.keypoints_2d[3] = np.nan
    there, gone = draw(pose_clips.clip(absent), (2, 3))
    assert len(places(there, pictures.LEFT))
    assert not len(places(gone, pictures.LEFT))


def test_a_bone_to_an_absent_joint_is_not_drawn():
    absent = sure(pose_clips.track())
    absent.pose[3, 13] = absent.keypoints_2d[3, 13] = np.nan
    there, gone = draw(pose_clips.clip(absent), (2, 3))
    assert places(gone, pictures.LEFT).max() < places(there, pictures.LEFT).max() - 5
    # Nor do the bones behind it take each other's colors.
    np.testing.assert_array_equal(places(gone, pictures.RIGHT), places(there, pictures.RIGHT))


def test_a_doubtful_person_is_paler():
    doubtful = pose_clips.track(confidence=np.zeros((12, 17)), keypoint_confidence=None)
    (picture,) = draw(pose_clips.clip(doubtful))
    assert places(picture, pictures.LEFT).max() < 0.5 * SIZE[0]


def test_people_around_their_pelvises_stand_side_by_side():
    people = pose_clips.clip(sure(pose_clips.track()), sure(OTHER), space="camera")
    drawn = [draw(dataclasses.replace(people, space=space))[0] for space in ("camera", "root")]
    right = [[c[c > 0.5 * SIZE[0]].mean() for c in _of_both(picture)] for picture in drawn]
    assert right[1][1] - right[1][0] > right[0][1] - right[0][0] > 0


def _of_both(picture):
    return places(picture, pictures.LEFT), places(picture, pictures.RIGHT)


def test_the_title_is_drawn():
    plain, titled = draw(pose_clips.clip())[0], draw(pose_clips.clip(), title="Walk")[0]
    top = SIZE[1] // 8
    assert (plain[:top] != titled[:top]).any()
    np.testing.assert_array_equal(plain[2 * top :], titled[2 * top :])


def test_the_image_lies_below_the_input_in_its_place():
    clip = pose_clips.clip(image_size=(640, 480))
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = (0, 200, 0)
    asked = []

    def images(frame):
        asked.append(frame)
        return picture if frame else None

    without, shown = draw(clip, (0, 3), images=images)
    assert asked == [0, 3]
    plain, _ = draw(clip, (0, 3))
    np.testing.assert_array_equal(without, plain)
    # The quarter that is green is the upper left one, and the skeleton is still to be seen on it.
    down, across = np.nonzero(np.abs(shown - np.array([0.0, 200, 0])).max(axis=-1) < 12)
    black_down, black_across = np.nonzero(shown.max(axis=-1) < 12)
    assert down.max() < black_down.max() - 30
    assert across.max() < black_across.max() - 30
    assert down.min() <= black_down.min() + 1
    blue = places(shown, pictures.LEFT)
    assert blue.min() < SIZE[0] * 0.42
    # The skeletons beside it are as they were.
    right = slice(int(SIZE[0] * 0.42), None)
    _, beside = draw(clip, (0, 3))
    np.testing.assert_array_equal(shown[:, right], beside[:, right])
