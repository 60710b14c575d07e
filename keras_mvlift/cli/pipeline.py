"""The door to the pipeline, where it is installed; the library does without.

`keras-mvlift train my_rig`
`keras-mvlift settings show my_rig`
"""

import argparse
import importlib
import json
from typing import Any

_PARAMETERS = ("data_root", "output_root", "preset", "num_epochs", "seed", "settings")


def run(options: argparse.Namespace) -> int:
    """Trains, or shows what a training would be told; a ValueError says what does not do."""
    given = {name: getattr(options, name) for name in _PARAMETERS}
    given = {name: value for name, value in given.items() if value is not None}
    if options.command == "train":
        local = _module("local")
        status: int = local.main([f"--{name}={value}" for name, value in given.items()])
        return status
    if options.what == "presets":
        print(_module("presets").told())
        return 0
    if options.what == "schema":
        shown = _module("settings").schema()
    else:
        presets = _module("presets")
        given.pop("output_root", None)
        config, _ = presets.configure(presets.Request(**given))
        shown = config.as_settings()
    print(json.dumps(shown, indent=2))
    return 0


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"pipeline.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pipeline":
            raise
        rule = "be installed for this, as `make setup` does in a checkout of keras_mvlift"
        raise ValueError(f"`pipeline` must {rule}. Received: no such module.") from error
