"""Writes a simulated release of a dataset: `keras-mvlift simulate human36m OUT`."""

import argparse
import importlib
import inspect
from typing import Any

import tqdm


def run(options: argparse.Namespace) -> int:
    """Writes the release and shows how far it is.

    Raises:
        ValueError: If an argument breaks its rule, or is not one of the dataset's.
    """
    # Its `write_release` takes a folder and, by keyword, any of the arguments below; it may be an
    # iterator that ends when all is written.
    simulation = importlib.import_module(f"keras_mvlift.studio.{options.dataset}")
    out = options.out
    arguments = _given(options)
    unknown = set(arguments) - set(inspect.signature(simulation.write_release).parameters)
    if unknown:
        rule = f"be left out with {options.dataset}"
        raise ValueError(f"`{', '.join(sorted(unknown))}` must {rule}. Received: {arguments}.")
    takes = simulation.write_release(out, **arguments)
    for _ in tqdm.tqdm(takes or (), unit=" takes", desc=options.dataset, disable=None):
        pass
    print(f"{out}: a simulated {options.dataset}")
    return 0


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the arguments that were given; the others are the simulation's to choose."""
    arguments = {
        "subjects": options.subjects and tuple(options.subjects),
        "num_takes": options.takes,
        "num_frames": options.frames,
        "seed": options.seed,
    }
    return {name: value for name, value in arguments.items() if value is not None}
