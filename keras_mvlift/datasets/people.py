"""The bodies of the synthetic studio's subjects."""

from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import seeds

MEAN_HEIGHT = 1.70
HEIGHT_SPREAD = 0.08
HEIGHT_LIMITS = (1.45, 1.98)
# Together with the spread of heights, a limb's length varies by 5 to 6 % between people.
LIMB_SPREAD = 0.03
GIRTH_SPREAD = 0.12

# Bone lengths as shares of the height, for joints placed as Human3.6M places them: its "neck" is
# at the nose and its "head" at the top of the head.
_SHARE_OF_HEIGHT = {
    "hip": 0.077,
    "knee": 0.257,
    "ankle": 0.262,
    "spine": 0.135,
    "thorax": 0.149,
    "nose": 0.070,
    "head": 0.067,
    "shoulder": 0.088,
    "elbow": 0.162,
    "wrist": 0.146,
}


class Person(NamedTuple):
    """A body.

    Attributes:
        bone_lengths: `[J]`, meters; of the bone that ends in each joint, 0 for the root.
        girth: How thick limbs and torso are, 1 for the mean.
    """

    bone_lengths: np.ndarray
    girth: float


def draw(seed: int, subject: str) -> Person:
    """Draws a subject's body; the same for the same seed and name.

    Args:
        seed: Not negative.
        subject: The subject's name.
    """
    rng = seeds.generator(seed, "person", subject)
    height = np.clip(rng.normal(MEAN_HEIGHT, HEIGHT_SPREAD), *HEIGHT_LIMITS)
    own = np.exp(rng.normal(0.0, LIMB_SPREAD, len(_SHARE_OF_HEIGHT)))
    length = dict(
        zip(_SHARE_OF_HEIGHT, height * own * list(_SHARE_OF_HEIGHT.values()), strict=True)
    )
    # Left and right share one entry, which makes the body symmetric.
    ends = [joint.split("_")[-1] for joint in skeletons.H36M_17.joints]
    girth = float(np.exp(rng.normal(0.0, GIRTH_SPREAD)))
    return Person(np.array([length.get(end, 0.0) for end in ends]), girth)
