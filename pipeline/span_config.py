"""How a pipeline follows new recordings, as frozen dataclasses; docs/continuous.md tells more."""

import dataclasses

from keras_mvlift import configs

WARN, STOP = "warn", "stop"

# Of the Jensen-Shannon divergence. By measure (benchmarks/drift.py), days of one simulated rig,
# other people and motions, differ by less, and a rig or a detector that changed by more.
_KEYPOINTS, _CONFIDENCE, _LENSES, _PLACES = 0.12, 0.05, 0.05, 0.07
# Of the share of pairs that a camera is in; by the same measure.
_CAMERA_SHARE = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowConfig(configs.Json):
    """What a run on spans trains on, and where it starts.

    Attributes:
        num_spans: The newest and so many less one before it are trained and tested on.
        warm_start: Whether training goes on from the last blessed model.
    """

    num_spans: int = 5
    warm_start: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.num_spans, int) or isinstance(self.num_spans, bool):
            raise ValueError(f"`num_spans` must be a whole number. Received: {self.num_spans!r}.")
        configs.at_least("num_spans", self.num_spans, 1)
        if not isinstance(self.warm_start, bool):
            raise ValueError(f"`warm_start` must be true or false. Received: {self.warm_start!r}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DriftConfig(configs.Json):
    """How far a new span may be from those before it.

    Each number is the most that a feature may be off: the Jensen-Shannon divergence, from 0 to 1,
    or for `camera` the change of a camera's share of the pairs; 0 compares nothing.

    Attributes:
        action: `"warn"`, or `"stop"` the run and train no later one on the span.
        keypoints_2d: Where joints are seen, pixels.
        confidence: How sure the detector is.
        intrinsics: Focal lengths and image centers.
        rotation: How the cameras are turned.
        center: Where the cameras stand.
        camera: How often each camera sees somebody.
    """

    action: str = WARN
    keypoints_2d: float = _KEYPOINTS
    confidence: float = _CONFIDENCE
    intrinsics: float = _LENSES
    rotation: float = _PLACES
    center: float = _PLACES
    camera: float = _CAMERA_SHARE

    def __post_init__(self) -> None:
        configs.one_of("action", self.action, (WARN, STOP))
        for name, most in self.thresholds.items():
            is_number = isinstance(most, int | float) and not isinstance(most, bool)
            if not is_number or not 0 <= most <= 1:
                raise ValueError(f"`{name}` must lie in [0, 1]. Received: {most!r}.")

    @property
    def thresholds(self) -> dict[str, float]:
        """The numbers by feature."""
        fields = dataclasses.asdict(self)
        return {name: most for name, most in fields.items() if name != "action"}
