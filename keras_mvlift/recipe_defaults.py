"""What fine-tuning is by default, which depends on the networks and their recipe."""

from collections.abc import Mapping
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


def finetuning(model: configs.ModelConfig) -> dict[str, Any]:
    """Gives the fields of `FinetuneConfig` that do best, as far as measured (docs/method.md).

    Recipe `solved_root` is trained on all views of an instant and on the pose that they
    triangulate; other recipes, and networks that see windows of frames, on pairs as in the paper.
    """
    joins_all_views = model.recipe == "solved_root" and not model.is_temporal
    return dict(_ALL_VIEWS if joins_all_views else _PAIRS)


def changed(
    fields: Mapping[str, Any],
    former: configs.ModelConfig,
    model: configs.ModelConfig,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Changes the settings of fine-tuning; what nobody chose follows the networks.

    Args:
        fields: Those of a `FinetuneConfig`.
        former: The networks that they were for.
        model: The networks that they shall be for.
        given: Fields that are chosen now.
    """
    fields = dict(fields)
    if finetuning(former).items() <= fields.items():
        fields |= finetuning(model)
    if given.get("views") == "pair" and fields["views"] != "pair":
        fields |= _PAIRS
    return fields | dict(given)
