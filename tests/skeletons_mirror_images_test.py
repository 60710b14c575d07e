import pytest

from keras_mvlift import skeletons


@pytest.mark.parametrize("skeleton", skeletons.SKELETONS.values(), ids=lambda s: s.name)
def test_left_and_right_change_places_and_the_middle_stays(skeleton):
    order = skeletons.mirror_images(skeleton.joints)
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        assert (order[left], order[right]) == (right, left)
    sides = {*skeleton.left, *skeleton.right}
    assert all(order[joint] == joint for joint in range(skeleton.num_joints) if joint not in sides)


def test_a_joint_without_its_mirror_image_is_refused():
    with pytest.raises(ValueError, match="right_hip"):
        skeletons.mirror_images(("pelvis", "left_hip"))
