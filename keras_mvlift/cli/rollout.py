"""Moves people from one version of a served model to another, and back.

`keras-mvlift rollout serving/config/models.config try 1795372969 --server grpc://localhost:8500`
"""

import argparse
import pathlib

from keras_mvlift.serving import clients, rollouts


def run(options: argparse.Namespace) -> int:
    """Moves labels and tells them; a ValueError or OSError says why the server does not follow."""
    for name, version in _labels(options)._asdict().items():
        print(f"{name:<10}{version}")
    return 0


def _labels(options: argparse.Namespace) -> rollouts.Labels:
    path: pathlib.Path = options.config
    if options.move == "show":
        return rollouts.labels_of(path, rollouts.read_config(path))
    if options.move == "start":
        labels = rollouts.started(options.version)
        config = rollouts.read_config(path)
        rollouts.write_config(path, rollouts.label_steps(path, config, labels, is_start=True)[0])
        return labels
    changes = {
        "try": lambda old: old.tried(options.version),
        "promote": rollouts.Labels.promoted,
        "withdraw": rollouts.Labels.withdrawn,
        "rollback": rollouts.Labels.rolled_back,
    }
    server = None if options.server is None else clients.parse(options.server)
    return rollouts.apply(path, changes[options.move], server, options.wait)
