import numpy as np
import tensorflow as tf

from keras_mvlift.training import objectives


def test_what_is_lifted_goes_through_a_tf_function_as_it_is():
    @tf.function
    def moved(view: objectives.Lifted) -> objectives.Lifted:
        return view._replace(root_position=view.root_position + 1.0)

    result = moved(objectives.Lifted(tf.zeros([2, 17, 3]), tf.zeros([2, 3])))
    assert isinstance(result, objectives.Lifted)
    np.testing.assert_array_equal(result.root_position, np.ones((2, 3)))
    np.testing.assert_array_equal(result.root_relative_pose, np.zeros((2, 17, 3)))


def test_what_is_joined_keeps_its_parts_under_tf_nest():
    joined = objectives.Joined((tf.zeros([2, 17, 3]), tf.ones([2, 17, 3])), tf.zeros([2]))
    doubled = tf.nest.map_structure(lambda value: 2 * value, joined)
    assert isinstance(doubled, objectives.Joined)
    np.testing.assert_array_equal(doubled.poses[1], np.full((2, 17, 3), 2.0))
