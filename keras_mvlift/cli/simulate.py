"""Writes a simulated release of a dataset: `keras-mvlift simulate human36m OUT`."""

import argparse
import importlib
import inspect
import pathlib
from typing import Any

import tqdm

# Dataset to the module that simulates it, imported only when it is asked for. Its `write_release`
# takes a folder and, by keyword, any of the arguments below; it may be an iterator that ends when
# all is written.
_SIMULATIONS = {
    "human36m": "keras_mvlift.studio.human36m",
    "aistpp": "keras_mvlift.studio.aistpp",
    "mpi_inf_3dhp": "keras_mvlift.studio.mpi_inf_3dhp",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("dataset", choices=_SIMULATIONS, help="whose files to write")
    parser.add_argument("out", type=pathlib.Path, help="an empty folder, or one to be made")
    parser.add_argument("--subjects", nargs="+", help="some of the subjects; all by default")
    parser.add_argument("--takes", type=int, help="takes per subject; all by default")
    parser.add_argument("--frames", type=int, help="frames per take; some hundreds by default")
    parser.add_argument("--seed", type=int, help="seed of all that is random; 0 by default")


def run(options: argparse.Namespace) -> int:
    """Writes the release and shows how far it is.

    Raises:
        FileExistsError: If the folder holds anything.
        ValueError: If an argument breaks its rule, or is not one of the dataset's.
    """
    out = options.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"`out` must be an empty folder or not there. Received: {out}.")
    simulation = importlib.import_module(_SIMULATIONS[options.dataset])
    arguments = _given(options)
    unknown = set(arguments) - set(inspect.signature(simulation.write_release).parameters)
    if unknown:
        rule = f"be left out with {options.dataset}"
        raise ValueError(f"`{', '.join(sorted(unknown))}` must {rule}. Received: {arguments}.")
    takes = simulation.write_release(out, **arguments)
    for _ in tqdm.tqdm(takes or (), unit=" takes", desc=options.dataset):
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
