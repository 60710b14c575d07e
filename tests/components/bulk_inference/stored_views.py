"""Views of random people, in both formats, and what lifting wrote of them."""

import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from components.bulk_inference import readers
from keras_mvlift.datasets import tfrecords
from tests import tiny_studio

KINDS = {"parquet": "views.parquet", "tfrecord": "views.gz"}


def columns(num_rows=11, seed=0, place=True):
    """Draws views; each has another camera."""
    rng = np.random.default_rng(seed)
    intrinsics = np.tile(tiny_studio.INTRINSICS, (num_rows, 1, 1))
    intrinsics[:, 0, 0] += np.arange(num_rows)
    rotation = np.linalg.qr(rng.normal(size=(num_rows, 3, 3)))[0]
    rotation *= np.linalg.det(rotation)[:, np.newaxis, np.newaxis]
    drawn = {
        "keypoints_2d": rng.uniform(300, 700, (num_rows, 17, 2)),
        "confidence": rng.uniform(0.1, 1, (num_rows, 17)),
        "intrinsics": intrinsics,
        "clip": np.array([f"walk {row // 4}" for row in range(num_rows)], object),
        "frame": np.arange(num_rows) * 5,
        "camera": np.array(["left", "right"], object)[np.arange(num_rows) % 2],
    }
    if place:
        drawn |= {"rotation": rotation, "center": rng.normal(size=(num_rows, 3))}
    single = {name: values.astype(np.float32) for name, values in drawn.items() if name in NUMBERS}
    return drawn | single


NUMBERS = readers.NUMBERS


def write(path, drawn):
    """Writes columns as the ending of the path says; gives the path."""
    if path.suffix != ".parquet":
        write_records(path, tfrecords.encode(drawn))
        return path
    arrays = {
        name: values.reshape(len(values), -1).tolist() if name in NUMBERS else values
        for name, values in drawn.items()
    }
    pq.write_table(pa.table(arrays), path)
    return path


def write_records(path, records):
    with tf.io.TFRecordWriter(str(path), "GZIP" if path.suffix == ".gz" else "") as writer:
        for record in records:
            writer.write(record)


def lifted(folder):
    """Reads all poses of a folder, in the order of its files, as a list of dicts."""
    paths = sorted(pathlib.Path(folder).glob("poses-*"))
    return [row for path in paths for row in (_rows(path))]


def _rows(path):
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
        return [{name: value for name, value in row.items() if value is not None} for row in rows]
    dataset = tf.data.TFRecordDataset(str(path), "GZIP")
    parsed = map(tf.train.Example.FromString, dataset.as_numpy_iterator())
    return [{name: _value(each) for name, each in p.features.feature.items()} for p in parsed]


def _value(feature):
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value)
    if kind == "float_list":
        return values
    return values[0].decode() if kind == "bytes_list" else values[0]


def letters(folder):
    """Reads all letters of a folder."""
    paths = sorted(pathlib.Path(folder).glob("_dead_letters-*"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def files(folder):
    """Every file of a folder with its bytes."""
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}
