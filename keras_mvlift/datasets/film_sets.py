"""What synthetic studios share: the cameras, the detector and the seed."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np

from keras_mvlift.datasets import detectors, seeds, sequences
from keras_mvlift.geometry import cameras, rigs


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilmSet(abc.ABC):
    """The cameras, the detector and the seed of a studio.

    Args:
        num_subjects: How many bodies there are.
        rig: `"h36m_like"` or `"ring"`.
        num_cameras: `V`, 2 or more; 4 with `"h36m_like"`.
        rig_jitter: Standard deviation of the cameras' places and aims, meters.
        noise_px: As of `detectors.Detector`, and so are the three rates and `bias_px`.
        gross_error_rate: The share of keypoints that are blunders.
        missing_rate: The share of joints that are not found.
        dropped_view_rate: The share of images in which nobody is found.
        bias_px: How far off joints are in every image alike.
        seed: Not negative. A clip depends on the settings and its own name alone, not on what was
            read before it.

    Raises:
        ValueError: If an argument breaks its rule; names argument, rule and value.
    """

    num_subjects: int = 5
    rig: str = "h36m_like"
    num_cameras: int = 4
    rig_jitter: float = 0.1
    noise_px: float = 3.0
    gross_error_rate: float = 0.01
    missing_rate: float = 0.01
    dropped_view_rate: float = 0.005
    bias_px: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._require(self.num_subjects >= 1, "num_subjects", "be positive")
        self._require(self.rig in _RIGS, "rig", f"be one of {', '.join(_RIGS)}")
        self._require(self.num_cameras >= 2, "num_cameras", "be 2 or more")
        is_free = self.rig != "h36m_like" or self.num_cameras == rigs.NUM_H36M_CAMERAS
        rule = f"be {rigs.NUM_H36M_CAMERAS} with rig='h36m_like'"
        self._require(is_free, "num_cameras", rule)
        self._require(self.rig_jitter >= 0, "rig_jitter", "not be negative")
        self._require(self.seed >= 0, "seed", "not be negative")
        # It checks the noise and the rates.
        _ = self.detector

    @functools.cached_property
    def camera(self) -> cameras.Camera:
        """The rig, the same for all clips, fields `[V, ...]`, NumPy arrays."""
        return _RIGS[self.rig](self, seeds.generator(self.seed, "rig"))

    @functools.cached_property
    def detector(self) -> detectors.Detector:
        """The detector that looks at the images."""
        names = [field.name for field in dataclasses.fields(detectors.Detector)]
        return detectors.Detector(**{name: getattr(self, name) for name in names})

    @abc.abstractmethod
    def clips(self) -> list[str]:
        """Gives the clips' names, always in the same order."""

    @abc.abstractmethod
    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Films a clip.

        Raises:
            ValueError: If there is no such clip.
        """

    def __iter__(self) -> Iterator[sequences.MultiViewSequence]:
        """Films all clips, one after the other."""
        return (self.read(clip) for clip in self.clips())

    def _require(self, holds: bool, name: str, rule: str) -> None:
        if not holds:
            raise ValueError(f"`{name}` must {rule}. Received: {name}={getattr(self, name)!r}.")


def _h36m_like(film_set: FilmSet, rng: np.random.Generator) -> cameras.Camera:
    return rigs.h36m_like(film_set.rig_jitter, rng)


def _ring(film_set: FilmSet, rng: np.random.Generator) -> cameras.Camera:
    return rigs.ring(film_set.num_cameras, jitter=film_set.rig_jitter, rng=rng)


_RIGS: dict[str, Callable[[FilmSet, np.random.Generator], cameras.Camera]] = {
    "h36m_like": _h36m_like,
    "ring": _ring,
}
