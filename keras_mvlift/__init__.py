"""Lift one view's 2D joints to a 3D pose, trained from calibrated views without 3D labels."""

import importlib
from typing import Any

__version__ = "0.1.0"

# Loaded when first asked for: using a model needs neither Keras nor the training stack.
_PUBLIC = {
    "load_model": "keras_mvlift.inference",
    "Lifter": "keras_mvlift.inference",
    "LiftedPose": "keras_mvlift.inference",
    "MultiViewLifter": "keras_mvlift.training.multi_view_lifter",
    "MultiViewSequence": "keras_mvlift.datasets.sequences",
    "Camera": "keras_mvlift.geometry.cameras",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
