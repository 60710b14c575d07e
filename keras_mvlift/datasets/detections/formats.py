"""Every format of detections by name."""

import pathlib
from collections.abc import Callable

from keras_mvlift import skeletons
from keras_mvlift.datasets.detections import alphapose, mmpose, openpose, rtmlib, tracks

Reader = Callable[[pathlib.Path, skeletons.Skeleton], tracks.Track]

READERS: dict[str, Reader] = {
    "openpose": openpose.read,
    "alphapose": alphapose.read,
    "mmpose": mmpose.read,
    "rtmlib": rtmlib.read,
}
