"""Moves people from one version of a served model to another, and back.

`keras-mvlift rollout serving/config/models.config try 1795372969 --server grpc://localhost:8500`
"""

import argparse
import pathlib

from keras_mvlift.serving import clients, rollouts

_MOVES = {
    "start": "all labels mean VERSION; for a server that is not running",
    "try": "canary means VERSION, once it is loaded",
    "promote": "stable means what canary does",
    "withdraw": "canary means what stable does",
    "rollback": "stable and canary mean what stable did before",
    "show": "tell the labels",
}

_VERSION_LIMIT = 1 << 63


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(f"  {name:<10}{purpose}" for name, purpose in _MOVES.items())
    parser.add_argument("config", type=pathlib.Path, help="the server's model config")
    parser.add_argument("move", choices=_MOVES, help="see below")
    parser.add_argument("version", type=int, nargs="?", help="with start and try: its number")
    parser.add_argument(
        "--server", metavar="ADDRESS", help="wait for it, grpc://HOST[:PORT] or http://..."
    )
    parser.add_argument(
        "--wait", type=float, default=rollouts.WAIT, metavar="SECONDS", help="at most so long"
    )


def run(options: argparse.Namespace) -> int:
    """Moves labels and tells them.

    Raises:
        ValueError: If the config or an option does not do; says why.
        OSError: If the server does not follow.
    """
    needs_version = options.move in ("start", "try")
    if needs_version != (options.version is not None):
        rule = "be given with start and try, and with nothing else"
        raise ValueError(f"`version` must {rule}. Received: {options.version}.")
    if options.version is not None and not 1 <= options.version < _VERSION_LIMIT:
        rule = "be 1 or more" if options.version < 1 else f"be less than {_VERSION_LIMIT}"
        raise ValueError(f"`version` must {rule}. Received: {options.version}.")
    print(_told(_labels(options)))
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


def _told(labels: rollouts.Labels) -> str:
    return "\n".join(f"{name:<10}{version}" for name, version in labels._asdict().items())
