import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import studio_films, studio_model, studio_motions, studio_scores

TINY = studio_model.Size(num_epochs=1, steps_per_epoch=2, takes=1, num_people=1, width=16)


@pytest.fixture(scope="module")
def motions():
    return studio_motions.made_up(5, 1)[:1]


@pytest.fixture(scope="module")
def trained(motions):
    """A model trained on films of which nobody knows the poses."""
    film = studio_films.film

    def blind(*arguments):
        made = film(*arguments)
        return made._replace(pose_world=np.full_like(made.pose_world, np.nan))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(studio_films, "film", blind)
        # To trace a step once is enough.
        rolled = dataclasses.replace(studio_model.ROLLED, num_epochs=0)
        patched.setattr(studio_model, "ROLLED", rolled)
        return studio_model.train(motions, TINY, seed=3)


def test_training_needs_no_pose_and_moves_both_networks(trained):
    config = dataclasses.replace(studio_model.FINETUNE, seed=3)
    assert trained.roll.numpy() == pytest.approx(np.radians(12.0))
    untrained = studio_model.build(config, TINY.width)
    for name in ("lifting_network", "root_network"):
        (*_, kernel, _), (*_, former, _) = (
            getattr(model, name).get_weights() for model in (trained, untrained)
        )
        assert np.isfinite(kernel).all()
        # Two steps of Adam, of a thousandth each.
        assert 1e-4 < np.abs(kernel - former).max() < 3e-3


def test_what_is_exported_lifts_as_what_was_trained(motions, trained, tmp_path):
    model = studio_model.export(trained, 3, tmp_path / "1")
    seen = studio_films.film(motions, studio_films.Filming(stride=60)).seen
    view = tf.nest.map_structure(lambda field: tf.constant(field[:, 0]), seen)
    pose = trained(view).root_relative_pose
    lifted = model.lift(view.keypoints_2d, view.confidence, camera=view.camera.intrinsics)
    np.testing.assert_allclose(lifted.root_relative_pose, pose, atol=1e-3)
    assert model.description["model"]["seed"] == 3
    scores = studio_scores.held_out(model, motions, seed=1)
    assert {*studio_scores.CHANGES} < {*scores}
