"""The method beside what it is compared with, on clean data and on worse."""

import dataclasses

from keras_mvlift.experiments import rows, variants

_ROBUST = (("labels", "robust"),)
_PLAIN = (("labels", "plain"),)

PEERS = rows.Table(
    name="peers",
    title="Peers: same people, same network, same number of steps",
    rows=(
        rows.row("supervised (3D labels)", method="supervised"),
        rows.row("semi-supervised (2 % labels)", method="semi_supervised", **rows.ALL_VIEWS),
        rows.row("pseudo labels, plain", method="pseudo_labels", options=_PLAIN),
        rows.row("pseudo labels, weighted", method="pseudo_labels", is_quick=False),
        rows.row("pseudo labels, robust", method="pseudo_labels", options=_ROBUST),
        rows.row("triangulated pose alone", **rows.TRIANGULATED),
        rows.row("solved root, all views and triangulated pose", **rows.SOLVED),
        rows.row("solved root, all views", **rows.ALL_VIEWS),
        rows.row("solved root, pairs"),
        rows.row("ray root", recipe="ray_root"),
        rows.row("paper", **rows.PAPER),
        rows.row("nearest training view", method="nearest_view"),
        rows.row("constant pose", method="constant_pose"),
        rows.row("triangulation of all test views", method="triangulation"),
        rows.row(
            "robust triangulation of all test views",
            method="triangulation",
            options=(("is_robust", True),),
        ),
    ),
    has_cases=True,
    published="table3",
    note="The last two rows see all cameras at test time, a ceiling, no competitor, and are "
    "measured on the joints that they could place. Labels of a row other than the first two are "
    "triangulated from the detections. Nearest training view: its triangulated pose, the view "
    "being the most alike in its 2D joints; constant pose: the mean of all of them in world axes.",
)

_COMPARED: tuple[tuple[str, dict[str, object]], ...] = (
    ("supervised", {"method": "supervised"}),
    ("pseudo labels, plain", {"method": "pseudo_labels", "options": _PLAIN}),
    ("pseudo labels, robust", {"method": "pseudo_labels", "options": _ROBUST}),
    ("triangulated pose alone", rows.TRIANGULATED),
    ("solved root, all views", rows.ALL_VIEWS),
    ("solved root, all views and triangulated pose", rows.SOLVED),
    ("paper", rows.PAPER),
)
_BAD_DETECTIONS = variants.Filming(gross_error_rate=0.05, bias_px=5.0)
_FEW_DETECTIONS = variants.Filming(missing_rate=0.15, dropped_view_rate=0.1)
_FEW_AND_BAD = dataclasses.replace(_FEW_DETECTIONS, gross_error_rate=0.05, bias_px=5.0)
_WORSE = {
    "clean": variants.DataSettings(),
    "cameras off by 1°": variants.DataSettings(calibration_error=1.0),
    "cameras off by 3°": variants.DataSettings(calibration_error=3.0),
    "5 % blunders, bias 5 px": variants.DataSettings(filming=_BAD_DETECTIONS),
    "5 % blunders, bias 5 px, tested on clean": variants.DataSettings(
        filming=_BAD_DETECTIONS, test_filming=variants.Filming()
    ),
    "15 % of joints, 10 % of views missing": variants.DataSettings(filming=_FEW_DETECTIONS),
    "three cameras": variants.DataSettings(num_train_cameras=3),
    "two cameras": variants.DataSettings(num_train_cameras=2),
    "everything at once": variants.DataSettings(
        filming=_FEW_AND_BAD, calibration_error=1.0, num_train_cameras=3
    ),
}
_QUICK_WORSE = (
    "clean",
    "cameras off by 1°",
    "5 % blunders, bias 5 px",
    "15 % of joints, 10 % of views missing",
    "two cameras",
)


def _is_quick(name: str, what: str) -> bool:
    if name == "paper":
        return what == "clean"
    # Training on true labels looks at no camera's place.
    return what in _QUICK_WORSE and (name, what) != ("supervised", "cameras off by 1°")


ROBUSTNESS = rows.Table(
    name="robustness",
    title="Robustness: wrong or few cameras, blunders, bias and gaps of the detector",
    rows=tuple(
        rows.row(f"{name}; {what}", **changes, data=data, is_quick=_is_quick(name, what))
        for what, data in _WORSE.items()
        for name, changes in _COMPARED
    ),
    note="Cameras are wrong or few in training alone, each turned about an axis of its own; true "
    "labels are exact. The bias is the same in every image of people seen from the same side. "
    "Everything at once: 5 % blunders, bias 5 px, 15 % of joints and 10 % of views missing, three "
    "cameras off by 1°.",
)
