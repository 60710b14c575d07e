"""What a table and its rows are."""

import dataclasses
from typing import Any

from keras_mvlift import configs
from keras_mvlift.experiments import training_runs, variants
from keras_mvlift.training import multi_view_lifter

SMALL: dict[str, Any] = {"backbone": "res_linear"}
"""Of every row that names no backbone."""
PAPER: dict[str, Any] = {"recipe": "paper"}
ALL_VIEWS: dict[str, Any] = {"views": "all", "confidence_weighting": "target"}
"""A pose compared with all views; the surer a detection, the more its own error counts."""
SOLVED: dict[str, Any] = {**ALL_VIEWS, "triangulation_weight": 1.0}
"""What pays of the recipe solved root's switches: the triangulated pose beside the reprojection."""
TRIANGULATED: dict[str, Any] = {**SOLVED, "reprojection_weight": 0.0}
"""The triangulated pose alone: robust pseudo labels with the offset solved in closed form."""
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(configs.FinetuneConfig)}
AUGMENTED = variants.DataSettings(num_virtual_views=8)


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        name: Its heading.
        variant: What it measures.
        is_quick: Whether profiles other than the full one have it, too.
    """

    name: str
    variant: variants.Variant
    is_quick: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that are to be compared.

    Attributes:
        name: For the command line.
        title: Above the table.
        rows: Its lines.
        note: What to know when reading it.
        is_per_action: Whether there is a column for each action, and a table for each protocol.
        has_curves: Whether losses and errors over the epochs are drawn.
        has_cases: Whether single poses are shown.
        has_joint_shares: Whether its columns are PCK and AUC over 14 and 17 joints.
        published: A name of `published.TABLES`: the paper's own figures, for a table beside.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    note: str = ""
    is_per_action: bool = False
    has_curves: bool = False
    has_cases: bool = False
    has_joint_shares: bool = False
    published: str | None = None


def row(name: str, *, is_quick: bool = True, **changes: Any) -> Row:
    """Makes a row.

    Args:
        name: Its heading.
        is_quick: Whether profiles other than the full one have it, too.
        changes: Arguments of `variants.Variant`, or settings of `configs.FinetuneConfig` by name,
            which become options. What is the default anyway is left out: cells that do the same
            are the same.
    """
    stage = training_runs.STAGE_OPTIONS - {
        field.name for field in dataclasses.fields(variants.Variant)
    }
    settings = {key: changes.pop(key) for key in sorted(changes) if key in stage}
    variant = variants.Variant(**(SMALL | changes))
    defaults = _DEFAULTS | {"clip_norm": configs.clip_norm(variant.recipe)}
    chosen = tuple((key, value) for key, value in settings.items() if value != defaults[key])
    variant = dataclasses.replace(variant, options=(*variant.options, *chosen))
    if variant.is_pretrained == multi_view_lifter.RECIPES[variant.recipe].needs_pretraining:
        variant = dataclasses.replace(variant, is_pretrained=None)
    return Row(name, variant, is_quick)


def filmed(**changes: Any) -> variants.DataSettings:
    """Makes the settings of data that are filmed in another way."""
    return variants.DataSettings(filming=variants.Filming(**changes))
