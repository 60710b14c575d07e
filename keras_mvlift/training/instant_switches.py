"""What a model that trains on instants does beyond eq. (7)."""

import dataclasses
import functools

import tensorflow as tf

from keras_mvlift import finetune_switches
from keras_mvlift.datasets import views
from keras_mvlift.training import agreement, auxiliaries, root_solving

_CLOSED_FORM = root_solving.RootSolver()
_NO_LOSSES = auxiliaries.Auxiliaries()


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstantSwitches:
    """The switches that change a step; none does by default.

    Args:
        root_solver: How the root is solved for.
        extra_losses: Further losses.
        flip_augmentation: Whether instants are mirrored at random in training.
        agreement_weighting: Whether confidences are multiplied by how well the views agree.
        triangulation_epochs: Epochs in which the triangulated pose counts; 0 for all.
    """

    root_solver: root_solving.RootSolver = _CLOSED_FORM
    extra_losses: auxiliaries.Auxiliaries = _NO_LOSSES
    flip_augmentation: bool = False
    agreement_weighting: bool = False
    triangulation_epochs: int = 0

    @property
    def needs_agreement(self) -> bool:
        """Whether a step asks what the views agree on."""
        losses = self.extra_losses
        weights = (losses.bone_length_weight, losses.triangulation_weight)
        return self.agreement_weighting or any(weights)

    def find_agreement(
        self, seen: views.View | agreement.AgreedViews, share: tf.Tensor
    ) -> agreement.Agreement:
        """Finds what the views agree on, if anyone needs to know and it is not known.

        Args:
            seen: Fields `[B, V, ...]`.
            share: How much the triangulated pose counts, 0 for not at all.
        """
        if isinstance(seen, agreement.AgreedViews):
            return seen.found
        look = functools.partial(agreement.of, seen)
        if self.agreement_weighting or self.extra_losses.bone_length_weight:
            return look()
        look_away = functools.partial(agreement.nothing, seen)
        if not self.extra_losses.triangulation_weight:
            return look_away()
        return tf.cond(share > 0, look, look_away) if self.triangulation_epochs else look()


def of_config(config: finetune_switches.FinetuneSwitches) -> InstantSwitches:
    """Gives what a config asks for."""
    return InstantSwitches(
        root_solver=root_solving.RootSolver(
            robust_steps=config.robust_steps,
            gauss_newton_steps=config.gauss_newton_steps,
            robust_kernel=config.robust_kernel,
            robust_scale_px=config.robust_scale_px,
            image_space=config.image_space,
        ),
        extra_losses=auxiliaries.Auxiliaries(
            triangulation_weight=config.triangulation_weight,
            symmetry_weight=config.symmetry_weight,
            bone_length_weight=config.bone_length_weight,
        ),
        flip_augmentation=config.flip_augmentation,
        agreement_weighting=config.agreement_weighting,
        triangulation_epochs=config.triangulation_epochs,
    )
