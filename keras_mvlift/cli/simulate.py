"""Writes a simulated release of a dataset: `keras-mvlift simulate human36m OUT`."""

import argparse
import importlib
import inspect

import tqdm


def run(options: argparse.Namespace) -> int:
    """Writes the release and shows how far it is; a ValueError says which argument does not do."""
    # Its `write_release` takes a folder and, by keyword, any of the arguments below; it may be an
    # iterator that ends when all is written.
    simulation = importlib.import_module(f"keras_mvlift.studio.{options.dataset}")
    out, told = options.out, options.subjects
    arguments = {"subjects": told and tuple(told), "num_takes": options.takes}
    arguments |= {"num_frames": options.frames, "seed": options.seed}
    # The others are the simulation's to choose.
    arguments = {name: value for name, value in arguments.items() if value is not None}
    unknown = set(arguments) - set(inspect.signature(simulation.write_release).parameters)
    if unknown:
        rule = f"be left out with {options.dataset}"
        raise ValueError(f"`{', '.join(sorted(unknown))}` must {rule}. Received: {arguments}.")
    takes = simulation.write_release(out, **arguments)
    for _ in tqdm.tqdm(takes or (), unit=" takes", desc=options.dataset, disable=None):
        pass
    print(f"{out}: a simulated {options.dataset}")
    return 0
