"""The paper's tables and figures, with rows of ours."""

from keras_mvlift.experiments import rows, variants

TABLE_1 = rows.Table(
    name="table1",
    title="Table 1: what each part of the method gives",
    rows=(
        rows.row("Reproj", **rows.PAPER, transform_weight=0.0),
        rows.row("Reproj+ADV", **rows.PAPER, transform_weight=0.0, method="adversarial"),
        rows.row("Trans Reproj", **rows.PAPER),
        rows.row("Trans Reproj+DA", **rows.PAPER, data=rows.AUGMENTED),
        rows.row("solved root"),
        rows.row("solved root+DA", data=rows.AUGMENTED, is_quick=False),
        rows.row("solved root, all views", **rows.ALL_VIEWS),
        rows.row("solved root, all views+DA", **rows.ALL_VIEWS, data=rows.AUGMENTED),
        rows.row("solved root, all views and triangulated pose", **rows.SOLVED),
        rows.row("triangulated pose alone", **rows.TRIANGULATED),
    ),
    is_per_action=True,
    published="table1",
    note="DA: virtual cameras that see points triangulated from the detections. ADV: every second "
    "training clip is seen by single views alone; the critic knows true 3D poses of the others.",
)
_LONG = (
    "Reproj",
    "Reproj+ADV",
    "Trans Reproj",
    "Trans Reproj+DA",
    "solved root",
    "solved root, all views and triangulated pose",
    "triangulated pose alone",
)
FIGURE_6 = rows.Table(
    name="figure6",
    title="Figure 6: with and without pre-training",
    rows=tuple(
        rows.row(
            f"{recipe.replace('_', ' ')}{clipped}, {word} pre-training",
            recipe=recipe,
            is_pretrained=given,
            # What needs none is not pre-trained in the quick profile.
            is_quick=recipe == "paper" or not given,
            **clipping,
        )
        for recipe, clipped, clipping in (
            ("paper", "", {}),
            ("paper", ", no depth guard", {"least_depth": 0.001}),
            ("paper", ", no depth guard, clipped", {"least_depth": 0.001, "clip_norm": 1.0}),
            ("ray_root", "", {}),
            ("solved_root", "", {}),
        )
        for word, given in (("with", True), ("without", False))
    ),
    has_curves=True,
    note="Rows with pre-training take its epochs in addition. The paper clips no gradients, and "
    "tells of no guard near depth 0. With a guard, which our recipe has, or with gradients clipped "
    "to 1, it converges from any weights. Recipe solved root pre-trains on pairs by eq. (7).",
)
LONG = rows.Table(
    name="long",
    title="What is left of the differences after 12,000 steps",
    rows=(
        *(row for row in TABLE_1.rows if row.name in _LONG),
        rows.row("supervised (3D labels)", method="supervised"),
        rows.row(
            "Trans Reproj, TemporalDilated",
            **rows.PAPER,
            method="temporal",
            backbone="temporal_dilated",
            data=variants.DataSettings(has_frames_between=True),
        ),
    ),
    is_per_action=True,
    has_curves=True,
    published="table1",
    note="What the profile long runs, and no other unless it is asked to. TemporalDilated sees a "
    "window of 81 frames of the film there.",
)
_ELSEWHERE = variants.DataSettings(test_filming=variants.Filming(rig="ring", num_cameras=6))
GENERALIZATION = rows.Table(
    name="generalization",
    title="Figure 7: trained on one rig and people, tested on another rig and others",
    rows=tuple(
        rows.row(f"{name}, {where} rig", **changes, **data, is_quick=is_quick)
        for name, changes, is_quick in (
            ("solved root, all views", rows.ALL_VIEWS, True),
            ("solved root", {}, False),
            ("paper", rows.PAPER, True),
            ("supervised", {"method": "supervised"}, True),
        )
        for where, data in (("same", {}), ("other", {"data": _ELSEWHERE}))
    ),
    note="The other rig is a ring of six cameras, or that of other recordings where there are any; "
    "nobody is in training and in test.",
)
