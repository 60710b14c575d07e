"""Held-out records in memory, to be scored without labels."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import examples, view_pairs, views
from keras_mvlift.metrics import held_out_views

MAX_RECORDS = 20_000
"""More of them make the score hardly surer, and it is taken after each epoch."""

_BATCH_SIZE = 4096


def read(
    file_pattern: str | list[str], num_views: int = 0, max_records: int = MAX_RECORDS
) -> views.View:
    """Reads records as instants with all of their views.

    Args:
        file_pattern: Record files of pairs, or of whole instants.
        num_views: Most views of an instant, where the records are instants; 0 where they are
            pairs, which are instants of two views.
        max_records: Of more than these, about as many are drawn, the same each time.

    Returns:
        NumPy arrays, fields `[T, V, ...]`; confidence 0 throughout for a view that an instant
        lacks.

    Raises:
        ValueError: If there is no record.
    """
    count = view_pairs.count(file_pattern) if tf.io.gfile.glob(file_pattern) else 0
    if not count:
        raise ValueError("No instant is held out: the score without labels needs some.")

    def decode(serialized: tf.Tensor) -> Any:
        if num_views:
            return examples.decode_instants(serialized, num_views)
        return held_out_views.views_of_pairs(examples.decode_pairs(serialized))

    rng = np.random.default_rng(0)
    parts = []
    for batch in view_pairs.load_once(file_pattern, _BATCH_SIZE, decode):
        # Every so many pairs would be those of the same two cameras.
        is_drawn = rng.random(len(batch.confidence)) * count < max_records
        parts.append(tf.nest.map_structure(lambda field, rows=is_drawn: field.numpy()[rows], batch))
    return tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts)
