"""Which tables there are. A further row is one line of its table."""

from keras_mvlift.experiments import (
    ablation_tables,
    backbone_tables,
    condition_tables,
    paper_tables,
    peer_tables,
    profiles,
    rows,
)

TABLES: dict[str, rows.Table] = {
    table.name: table
    for table in (
        paper_tables.TABLE_1,
        backbone_tables.TABLE_2,
        peer_tables.PEERS,
        peer_tables.ROBUSTNESS,
        backbone_tables.TABLE_4,
        paper_tables.FIGURE_6,
        *ablation_tables.ABLATIONS,
        *condition_tables.CONDITIONS,
        paper_tables.GENERALIZATION,
        paper_tables.LONG,
    )
}


def known_to(profile: profiles.Profile) -> list[str]:
    """Gives the names of the tables that a report of a profile shows if their cells are there."""
    others = (other for other in profiles.PROFILES.values() if other.name != profile.name)
    foreign = {name for other in others for name in other.tables}
    return [name for name in TABLES if name not in foreign]


def of_profile(profile: profiles.Profile) -> list[str]:
    """Gives the names of the tables that a profile runs where none are named."""
    return [*profile.tables] or known_to(profile)
