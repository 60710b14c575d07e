"""XML from anywhere: no entities, which may grow without end or name other files."""

import pathlib
from xml.etree import ElementTree

from keras_mvlift import errors
from keras_mvlift.datasets import files, limits


def read(path: pathlib.Path, field: str) -> ElementTree.Element:
    """Reads the root element of a file of at most `limits.MAX_TEXT_BYTES`.

    Raises:
        RecordingError: If it is missing, too large, no XML, or declares a document type.
    """
    data = files.read_bytes(path, field, limits.MAX_TEXT_BYTES)
    with errors.parsing(path, field, "be XML without a document type"):
        parser = ElementTree.XMLParser(target=_Builder())
        parser.feed(data)
        return parser.close()


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, name: str, public_id: str | None, system: str | None) -> None:
        """Ends the reading before an entity is declared."""
        raise ValueError(f"a document type {name}")
