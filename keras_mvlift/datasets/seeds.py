"""Random generators that depend on names, not on the order in which they are asked for."""

import zlib

import numpy as np


def generator(seed: int, *names: str) -> np.random.Generator:
    """Makes the random generator that belongs to a seed and a path of names.

    Args:
        seed: Not negative.
        *names: What the numbers are for, such as a subject or a clip. They are hashed by
            CRC-32, which is the same in every process, unlike `hash`.

    Raises:
        ValueError: If `seed` is negative.
    """
    if seed < 0:
        raise ValueError(f"`seed` must not be negative. Received: seed={seed}.")
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])
