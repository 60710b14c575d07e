"""Says what is in the wheel of the pipeline: this folder, and the components beside it."""

import pathlib
from typing import Any

from hatchling.builders.hooks.plugin import interface

# The line that gives `tfx run create` its `--pipeline` comes to the top of site-packages, in
# editable installs too; tfx_cli.py says what it does and why.
_OPTION = {"tfx_cli.pth": "keras_mvlift_tfx_cli.pth"}


class CustomBuildHook(interface.BuildHookInterface):
    """Where hatchling looks for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the files; an editable install finds those of Python on its path."""
        build_data["force_include"] |= _OPTION
        if version == "standard":
            here = pathlib.Path(__file__)
            ours = [path for path in here.parent.glob("*.*") if path.suffix in (".py", ".json")]
            build_data["force_include"] |= {
                str(path): f"pipeline/{path.name}" for path in ours if path != here
            } | {"../components": "components"}
