"""What the field leaves out of Human3.6M or mends in it, and who trains and who tests."""

import numpy as np

from keras_mvlift.datasets.human36m import actions

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
"""The subjects of all of the field's protocols."""

DROPPED_TAKES = ("S11 Directions",)
"""Of this take one camera's video is corrupt; the field's archives leave it out."""

SHIFTED_TAKES = ("S9 Greeting", "S9 SittingDown 1", "S9 Waiting 1")
"""In these takes the motion capture is shifted against the images."""

SHIFT = np.array([0.2, 0.0, 0.0])
"""By how much it is, meters, world frame, as those who correct it found."""

SHIFTED_TAKES_CHOICES = ("keep", "drop", "correct")


def take(name: str) -> str:
    """Gives `"<subject> <take>"` with the action in the one spelling.

    Args:
        name: Such as `"S11 Directions"` or `"S1 TakingPhoto 1"`.

    Raises:
        ValueError: If it is not of that form.
    """
    subject, _, label = name.partition(" ")
    return f"{subject} {actions.parse(label, f'Take {name!r}').label}"
