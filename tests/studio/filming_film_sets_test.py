import dataclasses

import numpy as np
import pytest

from keras_mvlift.studio import filming


class EmptySet(filming.FilmSet):
    def clips(self):
        return ["a", "b"]

    def read(self, clip):
        return f"film of {clip}"


def test_iteration_films_all_clips_in_order():
    assert list(EmptySet()) == ["film of a", "film of b"]


def test_the_rig_depends_on_the_seed():
    first, again, other = (EmptySet(seed=seed).camera for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.center, again.center)
    assert not np.allclose(first.center, other.center)


def test_a_ring_has_the_asked_number_of_cameras():
    assert EmptySet(rig="ring", num_cameras=6).camera.center.shape == (6, 3)
    assert EmptySet().camera.center.shape == (4, 3)


def test_rig_jitter_moves_the_cameras():
    still, moved = EmptySet(rig_jitter=0.0).camera, EmptySet(rig_jitter=0.2).camera
    np.testing.assert_allclose(still.center[0], [1.8, 5.0, 1.55])
    assert np.abs(moved.center - still.center).max() > 0.05


def test_the_detector_has_the_sets_settings():
    detector = EmptySet(
        noise_px=7.0, gross_error_rate=0.1, missing_rate=0.2, dropped_view_rate=0.3, bias_px=4.0
    ).detector
    assert dataclasses.astuple(detector) == (7.0, 0.1, 0.2, 0.3, 4.0)


def test_settings_survive_a_round_trip_through_a_dictionary():
    film_set = EmptySet(rig="ring", num_cameras=3, seed=4)
    assert film_set.camera is film_set.camera
    assert EmptySet(**dataclasses.asdict(film_set)) == film_set


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_subjects": 0}, "`num_subjects` must be positive. Received: num_subjects=0"),
        ({"rig": "dome"}, "`rig` must be one of h36m_like, ring. Received: rig='dome'"),
        ({"rig": "ring", "num_cameras": 1}, "`num_cameras` must be 2 or more.*num_cameras=1"),
        ({"num_cameras": 3}, "`num_cameras` must be 4 with rig='h36m_like'.*num_cameras=3"),
        ({"rig_jitter": -1.0}, "`rig_jitter` must not be negative. Received: rig_jitter=-1.0"),
        ({"seed": -1}, "`seed` must not be negative. Received: seed=-1"),
        ({"noise_px": -1.0}, "`noise_px` must be a number, 0 or more"),
        ({"missing_rate": 1.1}, "`missing_rate` must lie in"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        EmptySet(**settings)
