"""How λ and the learning rate are searched for, as a frozen dataclass."""

import dataclasses

from keras_mvlift import config_rules


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig(config_rules.Json):
    """A search before the second stage, by the score without labels.

    The paper sets λ per data set and does not say how. The first trial is of the second stage's
    own settings, the others are drawn, logarithmically even, from the ranges.

    Attributes:
        num_trials: How many settings are tried; 0 for no search.
        num_epochs: Of each trial.
        transform_weight: The least and the most λ.
        learning_rate: The least and the most learning rate at the start.
        seed: Of what is drawn.
    """

    num_trials: int = 0
    num_epochs: int = 10
    transform_weight: tuple[float, float] = (0.1, 10.0)
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    seed: int = 0

    def __post_init__(self) -> None:
        config_rules.at_least("num_trials", self.num_trials, 0)
        config_rules.at_least("num_epochs", self.num_epochs, 1)
        for name, limits in self.ranges.items():
            if len(limits) != 2 or not 0 < limits[0] < limits[1]:
                rule = "be two positive numbers, the lesser first"
                raise ValueError(f"`{name}` must {rule}. Received: {limits}.")

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The ranges by the name of the stage's setting."""
        return {"transform_weight": self.transform_weight, "learning_rate": self.learning_rate}
