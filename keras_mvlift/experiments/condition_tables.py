"""What the method is given: cameras, noise, frames, and whether it knows where cameras are."""

from keras_mvlift.experiments import rows, variants

_CAMERAS = rows.Table(
    name="cameras",
    title="Number of cameras, on a ring",
    rows=tuple(
        rows.row(
            f"{count}",
            **rows.ALL_VIEWS,
            data=rows.filmed(rig="ring", num_cameras=count),
            is_quick=count in (2, 4, 12),
        )
        for count in (2, 3, 4, 6, 8, 12)
    ),
    note="All views of an instant are compared.",
)
_NOISE = rows.Table(
    name="noise",
    title="The detector's noise, px",
    rows=tuple(
        rows.row(
            f"{noise:g}",
            **rows.ALL_VIEWS,
            data=variants.DataSettings() if noise == 5 else rows.filmed(noise_px=noise),
            is_quick=noise in (0.0, 5.0, 20.0),
        )
        for noise in (0.0, 2.0, 5.0, 10.0, 20.0)
    ),
)
_FRAMES = rows.Table(
    name="frames",
    title="Few frames against many, at equal steps",
    rows=tuple(
        rows.row(
            f"{share:.0%}{' +DA' if count else ''}",
            **rows.ALL_VIEWS,
            data=variants.DataSettings(train_share=share, num_virtual_views=count),
            is_quick=share in (0.05, 1.0),
        )
        for share in (0.05, 0.2, 1.0)
        for count in (0, 8)
    ),
    note="The share of each training clip's frames that is used, from its start.",
)
_EXTRINSICS = rows.Table(
    name="extrinsics",
    title="Extrinsics known against unknown",
    rows=tuple(
        rows.row(f"{name}, {word}", **changes, data=variants.DataSettings(has_extrinsics=given))
        for name, changes in (("solved root, all views", rows.ALL_VIEWS), ("paper", rows.PAPER))
        for word, given in (("known", True), ("recovered", False))
    ),
    note="Recovered from the training detections, the intrinsics, and one distance between two "
    "cameras.",
)
CONDITIONS = (_CAMERAS, _NOISE, _FRAMES, _EXTRINSICS)
