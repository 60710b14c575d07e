"""What the clips of a set have in common."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from components.example_gen import dead_letters


def summarize(
    clips: list[dict[str, Any]], num_lost: int = 0, choices: list[str] | None = None
) -> dict[str, Any]:
    """Puts together what the clips have in common.

    Args:
        clips: What is to be known of each clip that was read, in any order.
        num_lost: How many clips were lost beside them.
        choices: What the source chose of its field's protocol, in words.

    Returns:
        The clips, the sums of their counts, and of those that give pairs to train on the mean rig
        distance in meters and the mean intrinsics in pixels.

    Raises:
        UnusableError: If there is nothing to train or to test on.
    """
    # Workers hand clips over in any order, and a mean of floats depends on it.
    clips = sorted(clips, key=lambda clip: clip["clip"])
    counts: Counter[str] = Counter()
    for clip in clips:
        counts.update(clip["counts"])
    require(counts, "train_pairs", "test_views")
    # Networks are made for the cameras they train on; a lone test camera is at no rig's distance.
    trained = [clip for clip in clips if clip["counts"]["train_pairs"]]
    return {
        "clips": clips,
        "counts": dict(counts),
        "read_clips": len(clips),
        "lost_clips": num_lost,
        "dead_letters": dead_letters.DEAD_LETTERS,
        "choices": choices or [],
        "reference": " and ".join(sorted({clip["reference"] for clip in clips})),
        "num_views": max(clip["num_views"] for clip in trained),
        "rig_distance": float(np.mean([clip["rig_distance"] for clip in trained])),
        "intrinsics": np.mean([clip["intrinsics"] for clip in trained], axis=0).tolist(),
    }


def require(counts: Mapping[str, int], *kinds: str) -> None:
    """Refuses a set that lacks a kind of records.

    Raises:
        UnusableError: If there are none of one.
    """
    for kind in kinds:
        if not counts.get(kind):
            raise dead_letters.UnusableError(
                f"`{kind}` must not be empty: the recordings and the split leave nothing to use. "
                f"Received: {dict(counts)}."
            )


def to_json(summary: dict[str, Any]) -> str:
    """Writes a summary, sorted, so that equal ones give equal text."""
    return json.dumps(summary, indent=2, sort_keys=True)


def combine(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Puts together what several sets have in common, such as the spans of a window.

    Args:
        summaries: One for each set, in any order.

    Returns:
        Of a single set what came; of several the same of all of their clips, with `"spans"`.

    Raises:
        ValueError: If a person trains in one set and tests in another although sets are split by
            people, as where the settings changed in between.
    """
    if len(summaries) == 1:
        return summaries[0]
    clips = [clip for summary in summaries for clip in summary["clips"]]
    if any(summary.get("split") == "subject" for summary in summaries):
        _check_people(clips)
    lost = sum(summary["lost_clips"] for summary in summaries)
    choices = [choice for summary in summaries for choice in summary["choices"]]
    spans = sorted(summary["span"] for summary in summaries)
    return summarize(clips, lost, list(dict.fromkeys(choices))) | {"spans": spans}


def _check_people(clips: list[dict[str, Any]]) -> None:
    trained, tested = (
        {clip["subject"] for clip in clips if clip["counts"][kind]}
        for kind in ("train_pairs", "test_views")
    )
    if both := sorted(trained & tested):
        raise ValueError(
            "`split_options` must keep a person to train or to test on in all spans of a window. "
            f"Received: {', '.join(both)} on both sides."
        )
