"""Parsers of YAML, Parquet, C3D and videos; they run where `parsers` does."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import files

# YAML of plain values: no objects, no key twice, no anchors that grow when they are followed.

_MAX_DIGITS = 64  # A number to the base of 60 takes the square of its length to read.


def yaml(path: files.AnyPath, tags: Sequence[str]) -> Any:
    """Reads YAML; errors name the line.

    Keys are read as text, whatever they look like: a camera may be called 54138969. `%` directives
    that other programs put before the document are left out. Mappings of the tags are read as such.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise wrong("an alias, `*`", self.peek_event())
            return super().compose_node(parent, index)

        def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
            node = super().compose_scalar_node(anchor)
            if node.tag.endswith((":int", ":float")) and len(node.value) > _MAX_DIGITS:
                raise wrong(f"a number of {len(node.value)} digits", node)
            return node

        def mapping(self, node: yaml.Node) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for key, value in node.value if isinstance(node, yaml.MappingNode) else [(node, node)]:
                if not isinstance(key, yaml.ScalarNode):
                    raise wrong("a key that is no text, or no mapping", key)
                if key.value in found:
                    raise wrong(f"{key.value!r} twice", key)
                found[key.value] = self.construct_object(value, deep=True)
            return found

        def tagged(self, node: yaml.Node) -> Any:
            if node.tag not in tags:
                raise wrong(f"the tag {node.tag!r}", node)
            return self.mapping(node)

    def wrong(problem: str, place: Any) -> Exception:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)

    Loader.add_constructor("tag:yaml.org,2002:map", Loader.mapping)
    # Under no tag stand the constructors of tags that are not known.
    Loader.add_constructor(None, Loader.tagged)
    with open(path, encoding="utf-8-sig") as file:
        lines = ["" if line.startswith("%") else line for line in file.read().split("\n")]
    return Loader("\n".join(lines)).get_single_data()


# Parquet. What names a Python class in its schema is not resolved: Arrow would unpickle it.


def _parquet(path: files.AnyPath) -> Any:
    import pyarrow.parquet

    with contextlib.suppress(KeyError):
        # CVE-2023-47248. The library's types of its own are all that is left.
        pyarrow.unregister_extension_type("arrow.py_extension_type")
    with errors.parsing("", "file", "be whole Parquet"):
        file = pyarrow.parquet.ParquetFile(path)
        kinds = dict(zip(file.schema_arrow.names, file.schema_arrow, strict=True))
    for name, field in kinds.items():
        is_named = b"ARROW:extension:name" in (field.metadata or {})
        is_plain = not (is_named or str(field.type).startswith("ext"))
        errors.require_in("", is_plain, name, "be of a plain type", "an extension type")
    return file


def parquet_takes(
    path: files.AnyPath, required: Sequence[str], lists: Sequence[str], texts: Sequence[str]
) -> list[tuple[str, str]]:
    """Reads a table's pairs of subject and take; its columns must be as of `parquet_views`."""
    file = _parquet(path)
    _columns(file, required, lists, texts)
    pairs: set[tuple[str, str]] = set()
    for batch in file.iter_batches(columns=["subject", "take"], use_threads=False):
        columns = (batch.column(name).dictionary_encode() for name in ("subject", "take"))
        words, codes = zip(*((c.dictionary, c.indices.to_numpy()) for c in columns), strict=True)
        for pair in np.unique(np.stack(codes), axis=1).T.tolist():
            subject, take = (str(word[code]) for word, code in zip(words, pair, strict=True))
            pairs.add((subject, take))
    return sorted(pairs)


def parquet_rows(path: files.AnyPath, subject: str, take: str) -> dict[str, Any]:
    """Reads a take's rows.

    Returns:
        `camera`, a list, and `frame`, `[N]`; `keypoints_2d` and `confidence`, all lists' values one
        after the other; `keypoints_2d_length` and `confidence_length`, `[N]`, with 0 for no list.
    """
    import pyarrow.compute

    _parquet(path)
    names = ["camera", "frame", "keypoints_2d", "confidence"]
    where = [("subject", "=", subject), ("take", "=", take)]
    table = pyarrow.parquet.read_table(path, columns=names, filters=where, use_threads=False)
    table = table.combine_chunks()
    table.validate(full=True)
    found = {"camera": table["camera"].to_pylist(), "frame": table["frame"].to_numpy()}
    for name in names[2:]:
        lengths = pyarrow.compute.list_value_length(table[name])
        found[f"{name}_length"] = pyarrow.compute.fill_null(lengths, 0).to_numpy()
        found[name] = pyarrow.compute.list_flatten(table[name]).to_numpy()
    return found


def parquet_views(
    path: str, batch_size: int, required: list[str], lists: list[str], texts: list[str]
) -> Iterator[dict[str, Any]]:
    """Reads rows in batches.

    Args:
        path: The file.
        batch_size: The most rows of a batch.
        required: Columns that must be there.
        lists: Columns of lists of numbers, flat or nested.
        texts: Columns of text; `frame` is one of whole numbers.

    Yields:
        `num_rows`, and of each column that is there `values` and `lengths` of lists; `words` of
        text, with `codes` that number them, -1 for null; `values` and `is_null` of frames.
    """
    file = _parquet(path)
    names = _columns(file, required, lists, texts)
    batches = file.iter_batches(batch_size=batch_size, columns=names, use_threads=False)
    while True:
        with errors.parsing("", "rows", "be whole Parquet"):
            batch = next(batches, None)
            if batch is None:
                return
            batch.validate(full=True)
            found: dict[str, Any] = {"num_rows": batch.num_rows}
            for name in names:
                take = _list if name in lists else _words_of if name in texts else _integers
                found[name] = take(batch.column(name))
        yield found


def _columns(
    file: Any, required: Sequence[str], lists: Sequence[str], texts: Sequence[str]
) -> list[str]:
    """Returns those of the named columns that are there, each of its kind."""
    there = file.schema_arrow.names
    for name in required:
        received = f"the columns {', '.join(there)}"
        errors.require_in("", name in there, name, "be a column", received)
    names = [name for name in (*lists, *texts, "frame") if name in there]
    for name in names:
        _check_kind(file.schema_arrow.field(name), name in lists, name in texts)
    return names


def _check_kind(field: Any, is_list: bool, is_text: bool) -> None:
    import pyarrow.types as kinds

    inner, depth = field.type, 0
    while hasattr(inner, "value_field") or (is_text and kinds.is_dictionary(inner)):
        inner, depth = inner.value_type, depth + hasattr(inner, "value_field")
    is_whole = kinds.is_integer(inner)
    if is_list:
        is_right, what = depth and (is_whole or kinds.is_floating(inner)), "lists of numbers"
    elif is_text:
        is_right, what = kinds.is_string(inner) or kinds.is_large_string(inner), "text"
    else:
        is_right, what = is_whole, "whole numbers"
    fits = is_right and (is_list or not depth)
    errors.require_in("", fits, field.name, f"hold {what}", field.type)


def _list(column: Any) -> dict[str, np.ndarray]:
    import pyarrow.compute

    ends = np.arange(len(column) + 1)
    while hasattr(column.type, "value_field"):
        # Values of nulls may be there, too; flattening leaves them out.
        lengths = pyarrow.compute.fill_null(pyarrow.compute.list_value_length(column), 0)
        ends = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))])[ends]
        column = column.flatten()
    values = column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
    return {"values": values, "lengths": np.diff(ends)}


def _words_of(column: Any) -> dict[str, Any]:
    import pyarrow

    encoded = column.cast(pyarrow.string()).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return {"words": encoded.dictionary.to_pylist(), "codes": codes}


def _integers(column: Any) -> dict[str, np.ndarray]:
    import pyarrow

    whole = column.cast(pyarrow.int64())
    each = {"values": whole.fill_null(0), "is_null": whole.is_null()}
    return {name: column.to_numpy(zero_copy_only=False) for name, column in each.items()}


# C3D.


def c3d(path: files.AnyPath) -> dict[str, Any]:
    """Reads `names`, `unit`, `frame_rate`, `first_frame` and `points` `[T, M, 3]` of a C3D file."""
    import ezc3d

    content = ezc3d.c3d(str(path))
    point = content["parameters"]["POINT"]
    points = np.moveaxis(content["data"]["points"][:3], (0, 1, 2), (2, 1, 0))
    return {
        "names": [label.strip() for label in point["LABELS"]["value"]][: points.shape[1]],
        "unit": str(point["UNITS"]["value"][0]).strip(),
        "frame_rate": float(point["RATE"]["value"][0]),
        "first_frame": int(content["header"]["points"]["first_frame"]),
        "points": points,
    }


# Videos. Other demuxers open other files, as playlists do.

_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm"


@contextlib.contextmanager
def _film(path: str) -> Iterator[tuple[Any, Any]]:
    import av

    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
    with errors.parsing("", "video", "be a video that FFmpeg reads"):
        container = av.open(path, options=options)
    with container:
        # A song's cover is a stream of pictures too.
        cover = av.stream.Disposition.attached_pic
        moving = [each for each in container.streams.video if not each.disposition & cover]
        received = ", ".join(each.type for each in container.streams) or "no stream"
        errors.require_in("", moving, "video", "hold moving pictures", received)
        # To decode an unknown one would end the process.
        is_known = moving[0].codec_context is not None
        errors.require_in("", is_known, "video", "be of a codec that FFmpeg knows", "another")
        yield container, moving[0]


def film(path: str, max_side: int) -> dict[str, Any]:
    """Reads `size`, `turns`, `times`, NaN for none, `rate` and `ratio`; decodes the first frame."""
    with _film(path) as (container, stream):
        size = stream.codec_context.width, stream.codec_context.height
        rule = f"have frames of at most {max_side} pixels on a side"
        received = f"{size[0]} x {size[1]}"
        errors.require_in("", max(size) <= max_side, "video", rule, received)
        with errors.parsing("", "frame 0", "be decodable"):
            first = next(container.decode(stream), None)
        ratio = stream.sample_aspect_ratio
    if first is None:
        raise errors.RecordingError("", "frames", "be there", "none")
    with _film(path) as (container, stream), errors.parsing("", "frames", "be readable"):
        base, rate = stream.time_base, stream.average_rate
        packets = (p for p in container.demux(stream) if p.size and not p.is_discard)
        told = ((packet.pts, base) for packet in packets)
        times = [math.nan if None in pair else float(pair[0] * pair[1]) for pair in told]
    return {
        "size": [first.width, first.height],
        "turns": round(first.rotation / 90) % 4,
        "times": np.array(times),
        "rate": None if rate is None else [rate.numerator, rate.denominator],
        "ratio": [ratio.numerator, ratio.denominator] if ratio else [0, 1],
    }


def frames(path: str, width: int, height: int) -> Iterator[np.ndarray]:
    """Decodes frames one by one, scaled, as they are stored."""
    with _film(path) as (container, stream):
        stream.thread_type = "AUTO"
        decoded, number = container.decode(stream), 0
        while True:
            with errors.parsing("", f"frame {number}", "be decodable"):
                frame = next(decoded, None)
                if frame is None:
                    return
                picture = frame.to_ndarray(format="rgb24", width=width, height=height)
            yield picture
            number += 1
