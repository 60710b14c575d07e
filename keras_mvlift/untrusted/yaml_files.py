"""YAML of plain values: no objects, no key twice, no anchors that grow when they are followed."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from keras_mvlift import errors
from keras_mvlift.untrusted import files

Constructor = Callable[[Any], Any]


def read(path: pathlib.Path, field: str, tags: Mapping[str, Constructor] | None = None) -> Any:
    """Reads a file.

    Keys are read as text, whatever they look like: a camera may be called 54138969. `%` directives
    that other programs put before the document are left out.

    Args:
        path: The file.
        field: What it holds, for errors.
        tags: What a mapping with a tag becomes, by the tag.

    Raises:
        RecordingError: If the file is missing, too large, or not such YAML; names the line.
    """
    text = files.read_text(path, field)
    lines = ["" if line.startswith("%") else line for line in text.split("\n")]
    with errors.parsing(path, field, "be plain YAML"):
        loader = _Loader("\n".join(lines))
        loader.tags = tags or {}
        return loader.get_single_data()


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses what is likely a mistake or an attack."""

    tags: Mapping[str, Constructor]

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="an alias, `*`", problem_mark=mark)
        return super().compose_node(parent, index)

    def mapping(self, node: yaml.Node) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.MarkedYAMLError(problem="no mapping", problem_mark=node.start_mark)
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key that is no text", problem_mark=mark)
            if key_node.value in found:
                problem = f"{key_node.value!r} twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
            found[key_node.value] = self.construct_object(value_node, deep=True)
        return found

    def tagged(self, node: yaml.Node) -> Any:
        if node.tag not in self.tags:
            problem = f"the tag {node.tag!r}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return self.tags[node.tag](self.mapping(node))


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.mapping)
# Under no tag stand the constructors of tags that are not known.
_Loader.add_constructor(None, _Loader.tagged)
