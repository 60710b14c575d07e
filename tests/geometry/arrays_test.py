import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import arrays
from tests import random_scenes

TENSORFLOW_FREE = """
import sys
from keras_mvlift import trained_models
from keras_mvlift.calibration import extrinsics
from keras_mvlift.datasets import aistpp, sequences, views
from keras_mvlift.datasets.human36m import source as human36m
from keras_mvlift.datasets.mpi_inf_3dhp import source as mpi_inf_3dhp
from keras_mvlift.datasets.rigs import recordings
from keras_mvlift.diagnosis import report
from keras_mvlift.geometry import cameras, epipolar, lenses, procrustes, triangulation
from keras_mvlift.studio import human36m, mpi_inf_3dhp, synthetic
clip = next(iter(synthetic.Studio(num_subjects=1, num_clips=1, num_frames=20)))
sequences.triangulate(sequences.instants_of_sequence(clip, range(20)), 0.3)
assert "tensorflow" not in sys.modules
"""


def test_who_has_no_tensors_needs_no_tensorflow(tmp_path):
    command = [sys.executable, "-c", TENSORFLOW_FREE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_one_tensor_makes_all_tensors_of_its_type():
    tensor = tf.constant([1.0, 2.0], tf.float32)
    for values in ((tensor, np.ones(2), 3), (np.ones(2), tensor, 3)):
        _, *converted = arrays.convert(*values)
        assert [(tf.is_tensor(value), value.dtype) for value in converted] == [
            (True, "float32")
        ] * 3


def test_arrays_take_the_type_of_the_first_and_whole_numbers_are_double():
    xp, first, second = arrays.convert(np.ones(2, np.float32), [1, 2])
    assert (xp, first.dtype, second.dtype) == (np, np.float32, np.float32)
    assert arrays.convert([1, 2])[1].dtype == np.float64


@random_scenes.ARRAYS
def test_shapes_are_checked_against_each_other(array):
    first, second = array(np.zeros((7, 4, 3))), array(np.zeros((5, 3)))
    arrays.check_shapes(first=(first, "V 3"), second=(second, "J 3"))
    with pytest.raises(ValueError, match=r"`second` must have shape \[..., V, 3\] with V = 4"):
        arrays.check_shapes(first=(first, "V 3"), second=(second, "V 3"))
    with pytest.raises(ValueError, match=r"`first` must have shape \[..., 2\]. Rec.*\(7, 4, 3\)"):
        arrays.check_shapes(first=(first, "2"))
    with pytest.raises(ValueError, match=r"`second` must have shape \[..., V, J, 3\]"):
        arrays.check_shapes(second=(second, "V J 3"))


def test_sizes_that_a_graph_does_not_know_are_not_refused():
    seen = []

    @tf.function(input_signature=[tf.TensorSpec(None), tf.TensorSpec([None, None])])
    def check(first, second):
        arrays.check_shapes(first=(first, "V 3"), second=(second, "V 2"))
        seen.append(second.shape)

    check(np.zeros((2, 3), np.float32), np.zeros((2, 5), np.float32))
    assert seen


@random_scenes.ARRAYS
def test_what_numpy_has_no_name_for(array):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 2, 3, 3))
    vector = rng.normal(size=(2, 3))
    for found, expected in (
        (arrays.matvec(array(left), array(vector)), np.einsum("bij,bj->bi", left, vector)),
        (arrays.times_transposed(array(left), right), np.einsum("bij,bkj->bik", left, right)),
        (arrays.transposed_times(array(left), right), np.einsum("bji,bjk->bik", left, right)),
        (arrays.transpose(array(left)), [a.T for a in left]),
        (arrays.unstack(array(vector)), vector.T),
        (arrays.divide(array([1.0, 3.0, 0.0]), array([0.0, 2.0, 0.0])), [0.0, 1.5, 0.0]),
        (arrays.cast(array([True, False]), np.float32), [1.0, 0.0]),
        (arrays.merge_last_axes(array(np.zeros((2, 3, 4)))), np.zeros((2, 12))),
    ):
        np.testing.assert_allclose(found, expected)
