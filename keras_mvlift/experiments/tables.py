"""Which rows each table has. A further row is one line here."""

import dataclasses

from keras_mvlift.experiments import variants

_PAPER = {"recipe": "paper"}
_SMALL = {"backbone": "res_linear"}
_AUGMENTED = variants.DataSettings(num_virtual_views=8)


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        name: Its heading.
        variant: What it measures.
    """

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
        published: A name of `published.TABLES`: the paper's own figures, for a table beside.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    note: str = ""
    is_per_action: bool = False
    has_curves: bool = False
    has_cases: bool = False
    published: str | None = None


def row(name: str, **changes: object) -> Row:
    """Makes a row from the arguments of `variants.Variant`."""
    return Row(name, variants.Variant(**(_SMALL | changes)))  # type: ignore[arg-type]


def filmed(**changes: object) -> variants.DataSettings:
    """Makes the settings of data that are filmed in another way."""
    return variants.DataSettings(filming=variants.Filming(**changes))  # type: ignore[arg-type]


_RING = variants.Filming(rig="ring", num_cameras=6)
_ELSEWHERE = variants.DataSettings(test_filming=_RING)

_TABLE_1 = Table(
    name="table1",
    title="Table 1: what each part of the method gives",
    rows=(
        row("Reproj", **_PAPER, transform_weight=0.0),
        row("Trans Reproj", **_PAPER),
        row("Trans Reproj+DA", **_PAPER, data=_AUGMENTED),
        row("solved root", recipe="solved_root"),
        row("solved root+DA", recipe="solved_root", data=_AUGMENTED),
    ),
    is_per_action=True,
    published="table1",
    note="DA: virtual cameras that see points triangulated from the detections.",
)
_TABLE_2 = Table(
    name="table2",
    title="Table 2: backbones, recipe of the paper with DA",
    rows=(
        row("ResLinear", **_PAPER, data=_AUGMENTED),
        row("Ours (four blocks)", **_PAPER, data=_AUGMENTED, backbone="paper"),
    ),
    published="table2",
)
_PEERS = Table(
    name="peers",
    title="Peers: same people, same network, same number of steps",
    rows=(
        row("supervised (3D labels)", method="supervised"),
        row("pseudo labels, triangulated", method="pseudo_labels"),
        row("solved root"),
        row("ray root", recipe="ray_root"),
        row("paper", **_PAPER),
        row("triangulation of all test views", method="triangulation"),
    ),
    has_cases=True,
    published="table3",
    note="The last row sees all cameras at test time: a ceiling, no competitor.",
)
_FIGURE_6 = Table(
    name="figure6",
    title="Figure 6: with and without pre-training",
    rows=tuple(
        row(f"{recipe.replace('_', ' ')}, {word} pre-training", recipe=recipe, is_pretrained=given)
        for recipe in ("paper", "ray_root", "solved_root")
        for word, given in (("with", True), ("without", False))
    ),
    has_curves=True,
    note="Rows with pre-training take its epochs in addition.",
)
_ABLATIONS = (
    Table(
        name="weighting",
        title="Whose confidence weights an error in the other view",
        rows=tuple(
            row(name, confidence_weighting=name) for name in ("source", "target", "product", "none")
        ),
    ),
    Table(
        name="lambda",
        title="λ, the weight of the transformed reprojection",
        rows=tuple(
            row(f"{weight:g}", transform_weight=weight) for weight in (0.0, 0.1, 0.3, 1.0, 3.0)
        ),
    ),
    Table(
        name="norm",
        title="The norm of an error in the image",
        rows=tuple(row(name.replace("_", " "), distance=name) for name in ("norm", "squared_norm")),
    ),
    Table(
        name="cameras",
        title="Number of cameras, on a ring",
        rows=tuple(
            row(f"{count}", data=filmed(rig="ring", num_cameras=count))
            for count in (2, 3, 4, 6, 8, 12)
        ),
    ),
    Table(
        name="noise",
        title="The detector's noise, px",
        rows=tuple(
            row(
                f"{noise:g}", data=variants.DataSettings() if noise == 5 else filmed(noise_px=noise)
            )
            for noise in (0.0, 2.0, 5.0, 10.0, 20.0)
        ),
    ),
    Table(
        name="frames",
        title="Few frames against many, at equal steps",
        rows=tuple(
            row(
                f"{share:.0%}{' +DA' if count else ''}",
                data=variants.DataSettings(train_share=share, num_virtual_views=count),
            )
            for share in (0.05, 0.2, 1.0)
            for count in (0, 8)
        ),
        note="The share of each training clip's frames that is used, from its start.",
    ),
)
_GENERALIZATION = Table(
    name="generalization",
    title="Trained on one rig and people, tested on another rig and others",
    rows=(
        row("solved root, same rig"),
        row("solved root, other rig", data=_ELSEWHERE),
        row("paper, same rig", **_PAPER),
        row("paper, other rig", **_PAPER, data=_ELSEWHERE),
        row("supervised, same rig", method="supervised"),
        row("supervised, other rig", method="supervised", data=_ELSEWHERE),
    ),
    note="The other rig is a ring of six cameras; nobody is in training and in test.",
)

TABLES = {
    table.name: table
    for table in (_TABLE_1, _TABLE_2, _PEERS, _FIGURE_6, *_ABLATIONS, _GENERALIZATION)
}
