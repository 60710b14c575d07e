"""Which joint a joint becomes in a mirror."""


def of(joint_names: tuple[str, ...]) -> tuple[int, ...]:
    """Gives each joint's mirror image as an index; a joint of no side is its own.

    Args:
        joint_names: In which the sides are called left and right.

    Raises:
        ValueError: If a side has a joint that the other has not.
    """
    images = tuple(_other_side(name) for name in joint_names)
    missing = set(images) - set(joint_names)
    if missing:
        raise ValueError(f"`joint_names` must have both sides. Missing: {sorted(missing)}.")
    return tuple(joint_names.index(name) for name in images)


def _other_side(name: str) -> str:
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")
