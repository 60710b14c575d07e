"""The bytes are those of the official implementation, whatever the rows hold."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_arrays

from keras_mvlift.datasets import tfrecords

NAMES = st.text(min_size=1, max_size=6)
INTEGERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(0, 300), st.sampled_from([127, 128, 2**14, -1])
)
TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["", "camera_9", "camera_10", "ä" * 70]))


def official(columns):
    """One `tf.train.Example` per row, built and serialized by protobuf."""
    records = []
    for row in range(len(next(iter(columns.values())))):
        feature = {name: as_feature(values[row]) for name, values in columns.items()}
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        records.append(example.SerializeToString(deterministic=True))
    return records


def as_feature(values):
    flat = np.ravel(np.array(values, dtype=object if isinstance(values, str) else None))
    if flat.dtype == object:
        texts = [text.encode() for text in flat]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
    if flat.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=flat.astype(np.float32)))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=flat))


@st.composite
def tables(draw):
    """Columns of any kind and shape, empty ones and scalars included."""
    num_rows = draw(st.integers(1, 9))
    columns = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        rest = draw(st.lists(st.integers(0, 3), max_size=2))
        dtype, elements = draw(
            st.sampled_from(
                [
                    (np.float32, st.floats(width=32)),
                    (np.float64, st.floats(width=32)),
                    (np.int64, INTEGERS),
                    (np.int32, st.integers(-(2**31), 2**31 - 1)),
                    (object, TEXTS),
                ]
            )
        )
        columns[name] = draw(st_arrays.arrays(dtype, (num_rows, *rest), elements=elements))
    return columns


@settings(deadline=None, max_examples=300)
@given(tables())
def test_bytes_are_those_of_protobuf(columns):
    assert tfrecords.serialize_columns(columns) == official(columns)


def test_a_message_longer_than_one_byte_of_length_can_say_is_framed_right():
    columns = {
        "floats": np.arange(2 * 5000.0).reshape(2, 5000),
        "numbers": np.array([[0, 127, 128, -1], [2**63 - 1, 5, 16384, 16383]]),
        "text": np.array(["x" * 20_000, "y"], dtype=object),
    }
    assert tfrecords.serialize_columns(columns) == official(columns)


def test_rows_keep_their_order_where_lengths_alternate():
    frame = np.array([5, 500, 6, 70_000, 501, 7])
    camera = np.array(["camera_1", "virtual_12"] * 3, dtype=object)
    records = tfrecords.serialize_columns({"frame": frame, "camera": camera})
    assert records == official({"frame": frame, "camera": camera})
    assert len({len(record) for record in records}) > 2


def test_rows_of_a_view_of_another_array_are_read_as_they_are_seen():
    whole = np.random.default_rng(0).normal(size=(8, 6, 2))
    columns = {
        "every_other": whole[::2].swapaxes(1, 2),
        "alike": np.broadcast_to(whole[0], (4, 6, 2)),
    }
    assert tfrecords.serialize_columns(columns) == official(columns)


def test_numpy_texts_and_flags_are_written_as_texts_and_integers():
    columns = {"text": np.array(["a", "bc"]), "flag": np.array([True, False])}
    expected = {"text": columns["text"].astype(object), "flag": np.array([1, 0])}
    assert tfrecords.serialize_columns(columns) == official(expected)


def test_no_rows_and_no_columns_are_no_records():
    assert tfrecords.serialize_columns({"x": np.zeros((0, 3)), "y": np.zeros(0, object)}) == []
    assert tfrecords.serialize_columns({}) == []


def test_columns_of_different_numbers_of_rows_are_refused():
    with pytest.raises(ValueError, match=r"equally many rows. Received: \{'x': 2, 'y': 3\}"):
        tfrecords.serialize_columns({"x": np.zeros(2), "y": np.zeros(3)})


def test_values_that_no_feature_holds_are_refused():
    with pytest.raises(ValueError, match=r"or strings. Received: 'x' of complex"):
        tfrecords.serialize_columns({"x": np.zeros(2, complex)})
