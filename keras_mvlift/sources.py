"""Every kind of recording by name, opened from a config."""

import hashlib
import json
import os
import pathlib
import re
from typing import Any, NamedTuple

from keras_mvlift import configs, errors
from keras_mvlift.datasets import aistpp, preparation, sequences
from keras_mvlift.datasets.human36m import source as human36m_source
from keras_mvlift.datasets.mpi_inf_3dhp import source as mpi_inf_3dhp_source
from keras_mvlift.datasets.rigs import manifests, pose2sim, recordings
from keras_mvlift.studio import synthetic

SOURCES: dict[str, Any] = {
    "pose2sim": pose2sim.Pose2SimSource,
    "rig": recordings.RigSource,
    "studio": synthetic.Studio,
    "motion_studio": synthetic.MotionStudio,
    "human36m": human36m_source.Human36MSource,
    "mpi_inf_3dhp": mpi_inf_3dhp_source.MPIINF3DHPSource,
    "aistpp": aistpp.AISTPPSource,
}

_MANIFEST_SUFFIXES = (".yaml", ".yml")

# The argument by which a source takes the folder or file it reads; the studio reads none.
_ROOTS = dict.fromkeys({*SOURCES} - {"studio"}, "root") | {"motion_studio": "path"}


def open_source(config: configs.DataConfig, data_root: str) -> sequences.Source:
    """Opens the configured source.

    Args:
        config: Names the source and its own arguments.
        data_root: The folder or file it reads; empty for a source that reads none.

    Raises:
        ValueError: If the source is unknown, or refuses an argument.
    """
    options = json.loads(config.source_options)
    if config.source in _ROOTS:
        options[_ROOTS[config.source]] = data_root
    return _make("source", SOURCES, config.source, options)


def open_path(path: str, source: str | None = None, options: str = "{}") -> sequences.Source:
    """Opens a file or folder, whose kind is told from its files.

    Args:
        path: A rig's manifest or its folder, AIST++'s folder or one in Pose2Sim's layout.
        source: A name of `SOURCES`, to read it as; told from the files by default.
        options: That source's own arguments as JSON.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: As of `open_source`.
    """
    root = pathlib.Path(path)
    if not root.exists():
        raise FileNotFoundError(f"`path` must be a file or folder. Received: {path}.")
    if root.is_file() or any((root / name).is_file() for name in manifests.FILE_NAMES):
        told = "rig"
    else:
        told = "aistpp" if (root / "keypoints2d").is_dir() else "pose2sim"
    is_none = root.is_file() and root.suffix not in _MANIFEST_SUFFIXES
    is_none |= told == "pose2sim" and not any((root / name).is_dir() for name in pose2sim.FOLDERS)
    if is_none and source is None:
        rule = "be rig.yaml, its folder, or one with AIST++'s `keypoints2d` or Pose2Sim's "
        raise ValueError(f"`path` must {rule}`calibration` and `pose`. Received: {path}.")
    return open_source(configs.DataConfig(source=source or told, source_options=options), path)


def open_split(config: configs.DataConfig) -> preparation.Split:
    """Makes the configured split.

    Raises:
        ValueError: If the split is unknown, or refuses an argument.
    """
    return _make("split", preparation.SPLITS, config.split, json.loads(config.split_options))


def fingerprint(data_root: str) -> str:
    """Returns a digest of the names, sizes and times of change of the files below a folder.

    It is the system's own time of change, which no copy takes over from the original and no editor
    sets back. A manifest stands for its folder, where all that it names lies; a trial of Pose2Sim's
    has files of its session with it.
    """
    digest = hashlib.sha256()
    root = pathlib.Path(data_root)
    if root.is_file() and root.suffix in _MANIFEST_SUFFIXES:
        root = root.parent
    paths = sorted(path for path in root.rglob("*") if path.is_file()) if data_root else []
    if data_root and any((root / name).is_dir() for name in pose2sim.FOLDERS):
        paths += [path for path in pose2sim.session_files(root) if path not in paths]
    for path in [root] if data_root and root.is_file() else paths:
        status = os.stat(path)
        told = f"{os.path.relpath(path, root)} {status.st_size} {status.st_ctime_ns}\n".encode()
        digest.update(told)
    return digest.hexdigest()


def _make(field: str, registry: dict[str, Any], name: str, options: dict[str, Any]) -> Any:
    errors.require_known(field, name, registry)
    arguments = {
        key: tuple(value) if isinstance(value, list) else value for key, value in options.items()
    }
    try:
        return registry[name](**arguments)
    except TypeError as error:
        received = errors.met(error)
        raise errors.ArgumentError(f"{field}_options", f"fit {name!r}", received) from error


# Which recording is the newest span, by TFX's `{SPAN}` and `{VERSION}` in a path.


SPAN, VERSION = "span", "version"
"""Custom properties of an `Examples` artifact, of TFX's names."""

_SPEC = re.compile(r"\{(SPAN|VERSION)(?::(\d+))?\}")


class Span(NamedTuple):
    """A recording that has its number.

    Attributes:
        number: Of the span: the greater, the newer.
        version: Of the span's recordings, the greater of which stands for it; 0 where the path
            tells none.
        path: What the source reads.
    """

    number: int
    version: int
    path: str


def has_spans(data_root: str) -> bool:
    """Tells whether a path stands for spans, such as `"films/{SPAN}"`."""
    return "{SPAN" in data_root


def newest_span(data_root: str) -> Span:
    """Finds the newest version of the newest span.

    Args:
        data_root: A path with `{SPAN}` and maybe `{VERSION}`; `{SPAN:5}` stands for 5 digits.

    Raises:
        RecordingError: If there is none, or the path holds the two in another way.
    """
    names = [match[1] for match in _SPEC.finditer(data_root)]
    if sorted(names) not in (["SPAN"], ["SPAN", "VERSION"]):
        rule = "hold {SPAN} once, and {VERSION} once at most"
        raise errors.RecordingError(data_root, "data_root", rule, ", ".join(names) or "neither")
    path = pathlib.Path(data_root)
    # Between texts, which stand for themselves, the names and widths of the two numbers.
    pattern, *told = _SPEC.split(path.as_posix())
    pattern = re.escape(pattern)
    for name, width, text in zip(told[::3], told[1::3], told[2::3], strict=True):
        many = f"{{{width}}}" if width else "+"
        pattern += rf"(?P<{name}>\d{many})" + re.escape(text)
    anchor, parts = path.anchor or ".", path.relative_to(path.anchor).parts
    found = pathlib.Path(anchor).glob("/".join(_SPEC.sub("*", part) for part in parts))
    spans = [
        Span(int(match["SPAN"]), int(match.groupdict().get("VERSION", 0)), match[0])
        for match in (re.fullmatch(pattern, one.as_posix()) for one in found)
        if match
    ]
    if not spans:
        raise errors.RecordingError(data_root, "data_root", "match a span at least", "none")
    return max(spans)
