"""What a stage of training is by default, which depends on the networks and their recipe."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_mvlift import configs

_PAIRS: dict[str, Any] = {
    "views": "pair",
    "confidence_weighting": "source",
    "triangulation_weight": 0.0,
}
_ALL_VIEWS: dict[str, Any] = {
    "views": "all",
    "confidence_weighting": "target",
    "triangulation_weight": 1.0,
}


# The paper clips no gradients. Other recipes do, by a choice of ours.
_CLIP_NORM = 1.0


def pretraining(model: configs.ModelConfig) -> dict[str, Any]:
    """Returns the fields of `PretrainConfig` that follow the recipe."""
    return {"clip_norm": clip_norm(model.recipe)}


def clip_norm(recipe: str) -> float:
    """Returns the global norm to which a recipe's gradients are clipped, 0 for none."""
    return 0.0 if recipe == "paper" else _CLIP_NORM


def finetuning(model: configs.ModelConfig) -> dict[str, Any]:
    """Returns the fields of `FinetuneConfig` that do best, as far as measured (docs/method.md).

    Recipe `solved_root` is trained on all views of an instant and on the pose that they
    triangulate; other recipes, and networks that see windows of frames, on pairs as in the paper.
    """
    joins_all_views = model.recipe == "solved_root" and not model.is_temporal
    return pretraining(model) | (_ALL_VIEWS if joins_all_views else _PAIRS)


def changed(
    stage: Callable[[configs.ModelConfig], dict[str, Any]],
    fields: Mapping[str, Any],
    former: configs.ModelConfig,
    model: configs.ModelConfig,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Changes the settings of a stage; what nobody chose follows the networks.

    Args:
        stage: `pretraining` or `finetuning`.
        fields: Those of the stage's config.
        former: The networks that they were for.
        model: The networks that they shall be for.
        given: Fields that are chosen now.
    """
    fields = dict(fields)
    if stage(former).items() <= fields.items():
        fields |= stage(model)
    if given.get("views") == "pair" and fields["views"] != "pair":
        fields |= _PAIRS
    return fields | dict(given)
