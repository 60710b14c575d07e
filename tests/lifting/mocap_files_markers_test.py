import numpy as np

from keras_mvlift.lifting import mocap_files
from tests.lifting import people


def test_one_person_has_joints_and_several_have_names_before_them():
    one = people.track("anna")
    other = people.track("person\t2/*", seed=1, confidence=None)
    assert mocap_files.markers_of_clip(people.clip(one)).names == people.H36M.joints
    both = mocap_files.markers_of_clip(people.clip(one, other))
    assert len(both.names) == 34
    assert (both.names[0], both.names[18]) == ("anna:pelvis", "person_2_:right_hip")
    np.testing.assert_array_equal(both.points[:, 18], other.pose[:, 1])
    np.testing.assert_array_equal(both.confidence[:, :17], one.confidence)
    assert np.isnan(both.confidence[:, 17:]).all()


def test_a_name_comes_apart_as_it_was_put_together():
    assert mocap_files.split_name("person 2:right_hip") == ("person 2", "right_hip")
    assert mocap_files.split_name("a:b:head") == ("a:b", "head")
    assert mocap_files.split_name("head") == ("", "head")
