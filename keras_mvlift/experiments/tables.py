"""Which tables there are. A further row is one line of its table."""

import dataclasses
from typing import Any

from keras_mvlift.experiments import profiles, variants


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table: its heading, and what it measures."""

    name: str
    variant: variants.Variant


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
        published: A name of `results.PUBLISHED`: the paper's own figures, for a table beside.
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


PAPER: dict[str, Any] = {"recipe": "paper"}
ALL_VIEWS: dict[str, Any] = {"views": "all", "confidence_weighting": "target"}
"""A pose compared with all views; the surer a detection, the more its own error counts."""
SOLVED: dict[str, Any] = {**ALL_VIEWS, "triangulation_weight": 1.0}
"""The default: the triangulated pose beside the reprojection."""
CENTERED: dict[str, Any] = {**SOLVED, "flip_augmentation": True, "network_input": "centered"}
"""The same for views that are turned to the person and mirrored: what a rig's own preset does."""
TRIANGULATED: dict[str, Any] = {**SOLVED, "reprojection_weight": 0.0}
"""The triangulated pose alone: robust pseudo labels with the offset solved in closed form."""
AUGMENTED = variants.DataSettings(num_virtual_views=8)


def row(name: str, **changes: Any) -> Row:
    """Makes a row of a heading and arguments of `variants.Variant`.

    Settings of `configs.FinetuneConfig` by name become options, as does `network_input`.
    """
    known = variants.STAGE_OPTIONS | variants.MODEL_OPTIONS
    settings = tuple((key, changes.pop(key)) for key in sorted(known & {*changes}))
    variant = variants.Variant(**changes)
    return Row(name, dataclasses.replace(variant, options=variant.options + settings))


TABLE_1 = Table(
    name="table1",
    title="Table 1: what each part of the method gives",
    rows=(
        row("Reproj", **PAPER, transform_weight=0.0),
        row("Reproj+ADV", **PAPER, transform_weight=0.0, method="adversarial"),
        row("Trans Reproj", **PAPER),
        row("Trans Reproj+DA", **PAPER, data=AUGMENTED),
        row("solved root"),
        row("solved root, all views", **ALL_VIEWS),
        row("solved root, all views+DA", **ALL_VIEWS, data=AUGMENTED),
        row("solved root, all views and triangulated pose", **SOLVED),
        row("triangulated pose alone", **TRIANGULATED),
    ),
    is_per_action=True,
    published="table1",
    note="DA: virtual cameras that see points triangulated from the detections. ADV: every second "
    "training clip is seen by single views alone; the critic knows true 3D poses of the others.",
)
FIGURE_6 = Table(
    name="figure6",
    title="Figure 6: with and without pre-training",
    rows=(
        *(
            row(f"{name}, {word} pre-training", **PAPER, **changes, is_pretrained=word == "with")
            for name, changes in (
                ("paper", {}),
                ("paper, no depth guard", {"least_depth": 0.001}),
                ("paper, no depth guard, clipped", {"least_depth": 0.001, "clip_norm": 1.0}),
            )
            for word in ("with", "without")
        ),
        # What needs none is shown without.
        row("ray root, without pre-training", recipe="ray_root"),
        row("solved root, without pre-training"),
    ),
    has_curves=True,
    note="Rows with pre-training take its epochs in addition. The paper clips no gradients, and "
    "tells of no guard near depth 0. With a guard, which our recipe has, or with gradients clipped "
    "to 1, it converges from any weights. Recipe solved root pre-trains on pairs by eq. (7).",
)
_FILM = variants.DataSettings(has_frames_between=True)
_TEMPORAL: dict[str, Any] = {"method": "temporal", "backbone": "temporal_dilated"}
_LONG = (
    "Reproj",
    "Reproj+ADV",
    "Trans Reproj",
    "Trans Reproj+DA",
    "solved root",
    "solved root, all views and triangulated pose",
    "triangulated pose alone",
)
LONG = Table(
    name="long",
    title="What is left of the differences after 12,000 steps",
    rows=(
        *(row for row in TABLE_1.rows if row.name in _LONG),
        row("supervised (3D labels)", method="supervised"),
        row("Trans Reproj, TemporalDilated", **PAPER, **_TEMPORAL, data=_FILM),
    ),
    is_per_action=True,
    has_curves=True,
    published="table1",
    note="What the profile long runs, and no other unless it is asked to. TemporalDilated sees a "
    "window of 81 frames of the film there.",
)
_ELSEWHERE = variants.DataSettings(test_filming=variants.Filming(rig="ring", num_cameras=6))
GENERALIZATION = Table(
    name="generalization",
    title="Figure 7: trained on one rig and people, tested on another rig and others",
    rows=tuple(
        row(f"{name}, {where} rig", **changes, **data)
        for name, changes in (
            ("solved root, all views", ALL_VIEWS),
            ("paper", PAPER),
            ("supervised", {"method": "supervised"}),
        )
        for where, data in (("same", {}), ("other", {"data": _ELSEWHERE}))
    ),
    note="The other rig is a ring of six cameras, or that of other recordings where there are any; "
    "nobody is in training and in test.",
)

# The method beside what it is compared with, on clean data and on worse.

PEERS = Table(
    name="peers",
    title="Peers: same people, same network, same number of steps",
    rows=(
        row("supervised (3D labels)", method="supervised"),
        row("pseudo labels, robust", method="pseudo_labels"),
        row("triangulated pose alone", **TRIANGULATED),
        row("solved root, all views and triangulated pose", **SOLVED),
        row("solved root, all views and triangulated pose, centered and mirrored", **CENTERED),
        row("solved root, all views", **ALL_VIEWS),
        row("solved root, pairs"),
        row("ray root", recipe="ray_root"),
        row("paper", **PAPER),
        row("nearest training view", method="nearest_view"),
        row("constant pose", method="constant_pose"),
        row("the shipped model", method="shipped"),
        row("triangulation of all test views", method="triangulation"),
    ),
    has_cases=True,
    published="table3",
    note="Triangulation sees all cameras at test time, a ceiling, no competitor, and is measured "
    "on the joints that it could place. Pseudo labels are triangulated from the detections. "
    "Nearest training view: its triangulated pose, the view being the most alike in its 2D joints; "
    "constant pose: the mean of all of them in world axes. The shipped model has seen films, "
    "AIST++'s dancers d03 and d04 and Pose2Sim's demo.",
)

_BLUNDERS = variants.Filming(gross_error_rate=0.05, bias_px=5.0)
_GAPS = variants.Filming(missing_rate=0.15, dropped_view_rate=0.1)
_WORSE = {
    "clean": variants.DataSettings(),
    "cameras off by 1°": variants.DataSettings(calibration_error=1.0),
    "5 % blunders, bias 5 px": variants.DataSettings(filming=_BLUNDERS),
    "15 % of joints, 10 % of views missing": variants.DataSettings(filming=_GAPS),
    "two cameras": variants.DataSettings(num_train_cameras=2),
}
_COMPARED: dict[str, dict[str, Any]] = {
    "supervised": {"method": "supervised"},
    "pseudo labels, robust": {"method": "pseudo_labels"},
    "triangulated pose alone": TRIANGULATED,
    "solved root, all views and triangulated pose": SOLVED,
}
ROBUSTNESS = Table(
    name="robustness",
    title="Robustness: wrong or few cameras, blunders, bias and gaps of the detector",
    rows=tuple(
        row(f"{name}; {what}", **changes, data=data)
        for what, data in _WORSE.items()
        for name, changes in _COMPARED.items()
        # Training on true labels looks at no camera's place.
        if (name, what) != ("supervised", "cameras off by 1°")
    ),
    note="Cameras are wrong in training alone, each turned about an axis of its own; true labels "
    "are exact. The bias is the same in every image of people seen from the same side.",
)

# The paper's Table 2, of backbones, and Table 4, in MPI-INF-3DHP's measures.

# All of it is of the same film, whether the frames between are looked at or not.
_AUGMENTED_FILM = dataclasses.replace(_FILM, num_virtual_views=8)
_CAUSAL: dict[str, Any] = {**_TEMPORAL, "options": (("is_causal", True),)}

TABLE_2 = Table(
    name="table2",
    title="Table 2: backbones, with DA",
    rows=(
        row("ResLinear", **PAPER, data=_AUGMENTED_FILM),
        row("Ours (four blocks)", **PAPER, data=_AUGMENTED_FILM, backbone="paper"),
        row("TemporalDilated", **PAPER, **_TEMPORAL, data=_AUGMENTED_FILM),
        row("TemporalDilated, causal", **PAPER, **_CAUSAL, data=_AUGMENTED_FILM),
        row("solved root, ResLinear", data=_AUGMENTED_FILM),
        row("solved root, TemporalDilated", **_TEMPORAL, data=_AUGMENTED_FILM),
    ),
    published="table2",
    note="The first four rows have the recipe of the paper. TemporalDilated lifts the same frames "
    "and sees those of the film around them, 27 in the quick profile and 243 in the full one; a "
    "virtual camera stands still for such a window. The causal one sees no later frame.",
)
TABLE_4 = Table(
    name="table4",
    title="Table 4: the measures of MPI-INF-3DHP",
    rows=(
        row("Trans Reproj+DA", **PAPER, data=AUGMENTED),
        row("solved root, all views", **ALL_VIEWS),
        row("solved root, all views+DA", **ALL_VIEWS, data=AUGMENTED),
        row("pseudo labels, robust", method="pseudo_labels"),
        row("supervised (3D labels)", method="supervised"),
    ),
    has_joint_shares=True,
    published="table4",
    note="Over all test views of the data named above, which only with --source mpi_inf_3dhp are "
    "those of the published figures; PCK and AUC over the 14 joints of that data set's test code, "
    "and over all 17, as many ports have them.",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (TABLE_1, TABLE_2, PEERS, ROBUSTNESS, TABLE_4, FIGURE_6, GENERALIZATION, LONG)
}


def known_to(profile: profiles.Profile) -> list[str]:
    """Returns the names of the tables that a report of a profile shows if their cells are there."""
    others = (each for each in profiles.PROFILES.values() if each.name != profile.name)
    foreign = {name for other in others for name in other.tables}
    return [name for name in TABLES if name not in foreign]


def of_profile(profile: profiles.Profile) -> list[str]:
    """Returns the names of the tables that a profile runs where none are named."""
    return [*profile.tables] or known_to(profile)
