"""One choice of the method at a time."""

from typing import Any

from keras_mvlift.experiments import rows

_WEIGHTING = rows.Table(
    name="weighting",
    title="Whose confidence weights an error in the other view",
    rows=tuple(
        rows.row(name, confidence_weighting=name, is_quick=name != "product")
        for name in ("source", "target", "product", "none")
    ),
)
_LAMBDA = rows.Table(
    name="lambda",
    title="λ, the weight of the transformed reprojection",
    rows=tuple(
        rows.row(f"{weight:g}", transform_weight=weight, is_quick=weight in (0.0, 1.0, 3.0))
        for weight in (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
    ),
)
_NORM = rows.Table(
    name="norm",
    title="The norm of an error in the image",
    rows=tuple(
        rows.row(name.replace("_", " "), distance=name) for name in ("norm", "squared_norm")
    ),
)
_VIEWS = rows.Table(
    name="views",
    title="Pairs of views against all views of an instant",
    rows=(
        rows.row("pairs"),
        rows.row("pairs, confidence of the target", confidence_weighting="target"),
        rows.row("all views", **rows.ALL_VIEWS),
        rows.row("all views, confidence of the source", views="all"),
    ),
    note="As many views are lifted in a step of either.",
)
_IMAGE_SPACE = rows.Table(
    name="image_space",
    title="Errors in the image: in pixels against in rays",
    rows=tuple(
        rows.row(f"{name}, {space}", **changes, image_space=space, is_quick=name != "pairs")
        for name, changes in (("all views", rows.ALL_VIEWS), ("pairs", {}))
        for space in ("pixels", "rays")
    ),
    note="Rays count as the pixels that they are to the mean focal length.",
)
# One switch, or what belongs together, over the first row.
_SWITCHED: dict[str, dict[str, Any]] = {
    "solved root, all views": {},
    "root solved again with robust weights": {"robust_steps": 2},
    "robust weights in the loss": {"robust_loss": True},
    "robust weights in both": {"robust_steps": 2, "robust_loss": True},
    "Gauss-Newton step to the projected error": {"gauss_newton_steps": 1},
    "confidence times agreement of the views": {"agreement_weighting": True},
    "triangulated pose as auxiliary loss": {"triangulation_weight": 1.0},
    "triangulated pose as warm-up": {"triangulation_weight": 1.0, "triangulation_epochs": 3},
    "left and right bones alike": {"symmetry_weight": 0.1},
    "bones as long as triangulated": {"bone_length_weight": 0.1},
    "mirrored instants": {"flip_augmentation": True},
    "triangulated pose and mirrored instants": {
        "triangulation_weight": 1.0,
        "flip_augmentation": True,
    },
    "average of the weights": {"weight_averaging": 0.99},
    "extrinsics as free parameters": {"refine_extrinsics": True},
}
_FULL_ONLY = ("robust weights in both", "triangulated pose as warm-up")
_SWITCHES = rows.Table(
    name="switches",
    title="Switches of the recipe solved root, one at a time",
    rows=tuple(
        rows.row(name, **rows.ALL_VIEWS, **settings, is_quick=name not in _FULL_ONLY)
        for name, settings in _SWITCHED.items()
    ),
    note="All views of an instant. Each row changes the first by what its name says.",
)
ABLATIONS = (_SWITCHES, _VIEWS, _WEIGHTING, _LAMBDA, _NORM, _IMAGE_SPACE)
