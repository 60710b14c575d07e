"""What a check found, in plain words and figures."""

import dataclasses

ERROR, WARNING = "error", "warning"
"""An error must be mended before training; with a warning one may train, less well."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is off.

    Attributes:
        name: The cause by name, such as `"rotation_transposed"`; docs/check_rig.md lists them.
        severity: `ERROR` or `WARNING`.
        cameras: Names of the cameras that have it.
        sentence: What is wrong, with the figures.
        remedy: What to do about it.
        before: The figure that gave it away.
        after: The same once the cause is undone; None if nothing was undone.
        unit: Of both figures.
        details: What else is known: `offsets` in frames and seconds by camera, `order`, `factor`.
    """

    name: str
    severity: str = WARNING
    cameras: tuple[str, ...]
    sentence: str
    remedy: str
    before: float
    after: float | None = None
    unit: str = ""
    details: dict[str, object] = dataclasses.field(default_factory=dict)


def listed(names: tuple[str, ...], all_names: tuple[str, ...]) -> str:
    """Writes cameras' names as part of a sentence."""
    if names == all_names:
        return "both cameras" if len(names) == 2 else f"all {len(names)} cameras"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
