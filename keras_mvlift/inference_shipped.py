"""Models that come with the package, each a folder of `models` with a card that tells of it."""

import pathlib

_FOLDER = pathlib.Path(__file__).with_name("models")
CARD = "MODEL_CARD.md"
"""Beside a SavedModel: how it was trained, what it scores and where it fails."""


def names() -> tuple[str, ...]:
    """Gives the models' names, sorted."""
    return tuple(sorted(path.parent.name for path in _FOLDER.glob(f"*/{CARD}")))


def folder(name: str) -> pathlib.Path:
    """Gives a model's folder.

    Args:
        name: One of `names()`.
    """
    return _FOLDER / name
