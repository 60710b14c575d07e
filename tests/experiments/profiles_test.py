import pytest

from keras_mvlift.experiments import origins, profiles


def test_without_data_people_are_made_up():
    assert profiles.open_origin(profiles.QUICK, [], None, None) is profiles.QUICK.studio


def test_motions_are_limited_by_the_profile():
    origin = profiles.open_origin(profiles.QUICK, ["a.npz"], None, None)
    assert isinstance(origin, origins.MotionOrigin)
    assert origin.max_train_frames == profiles.QUICK.max_train_frames > 0


@pytest.mark.parametrize(
    ("source", "split", "options"),
    [("human36m", "subject", '{"test_subjects": ["S9", "S11"]}'), ("rig", "blocks", "{}")],
)
def test_recordings_are_split_as_their_community_does(source, split, options):
    origin = profiles.open_origin(profiles.FULL, [], "data", source)
    assert (origin.config.split, origin.config.split_options) == (split, options)
    assert origin.config.stride == profiles.FULL.stride


@pytest.mark.parametrize(
    "arguments", [([], "data", None), ([], None, "rig"), (["a.npz"], "data", "rig")]
)
def test_contradicting_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="must be given together, and not with `motions`"):
        profiles.open_origin(profiles.QUICK, *arguments)
