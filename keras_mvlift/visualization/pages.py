"""Renders templates as HTML pages that need nothing else, and puts data into them."""

import json
import pathlib
from typing import Any

import jinja2
import markupsafe

TEMPLATES = pathlib.Path(__file__).parent / "templates"
# `json.dumps` leaves these as they are, and a script would end at "</".
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def render(template: str, **values: Any) -> str:
    """Renders a template of ours; texts are escaped, and a name without a value is an error.

    Args:
        template: Its path below `templates`.
        **values: What it names.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def part(name: str) -> markupsafe.Markup:
    """Reads a style sheet or script of ours, to be put into a page as it is.

    Args:
        name: Its path below `templates`.
    """
    return markupsafe.Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def data(value: Any) -> markupsafe.Markup:
    """Writes JSON values for a `<script type="application/json">`, which no text in them can end.

    Raises:
        ValueError: If a number is not finite.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for letter, escaped in _ESCAPES.items():
        text = text.replace(letter, escaped)
    return markupsafe.Markup(text)
