import numpy as np

from benchmarks import drift
from pipeline import settings

FRAMES = 42


def first(*changes, **options):
    """Films a clip of the first day."""
    clip = next(drift.film(0, num_frames=FRAMES, **options))
    for change in changes:
        clip = change(clip)
    return clip


def test_days_share_the_rig_and_nobody():
    monday, tuesday = (next(drift.film(day, num_frames=FRAMES)) for day in (0, 1))
    np.testing.assert_array_equal(monday.camera.center, tuesday.camera.center)
    assert (monday.subject, tuesday.subject) == ("S01", "S03")


def test_a_moved_camera_stands_elsewhere_and_films_the_same():
    move = np.zeros((4, 3))
    move[2] = [0.3, 0.4, 0.0]
    still, moved = first(), first(move=move)
    distance = np.linalg.norm(moved.camera.center - still.camera.center, axis=-1)
    np.testing.assert_allclose(distance, [0, 0, 0.5, 0], atol=1e-6)
    np.testing.assert_array_equal(moved.pose_world, still.pose_world)
    assert not np.allclose(moved.keypoints_2d[2], still.keypoints_2d[2])


def test_a_lost_camera_saw_nobody():
    clip = first(drift.without_camera(2))
    assert clip.absent == (clip.camera_names[2],)
    assert [bool(seen.any()) for seen in clip.confidence] == [True, True, False, True]


def test_another_resolution_is_measured_where_it_shows():
    still = drift.statistics([first(drift.calibrated(0))])
    small = drift.statistics([first(drift.resized(2 / 3))])
    found = drift.measure(small, still)
    thresholds = settings.DriftConfig().thresholds
    assert list(found) == list(thresholds)
    beyond = {name for name, value in found.items() if value > thresholds[name]}
    assert beyond == {"keypoints_2d", "intrinsics"}
    assert drift.measure(still, still) == dict.fromkeys(thresholds, 0.0)
