"""A rig's manifest, `rig.yaml`: where what lies, who is who, and which clips are for testing."""

import functools
import json
import pathlib
import re
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import reading

if TYPE_CHECKING:
    import jsonschema

FILE_NAMES = ("rig.yaml", "rig.yml")
"""What a manifest is called in its folder."""

_SCHEMA = "schemas/rig.schema.json"


class CalibrationFile(NamedTuple):
    """Where the calibration is, and how to read it."""

    file: str
    format: str
    unit: str = ""
    up: str = "z"


class DetectionFormat(NamedTuple):
    """How to read the detections of all views."""

    format: str
    skeleton: str
    max_score: float = 1.0


class View(NamedTuple):
    """What one camera saw of a clip."""

    path: str
    first_frame: int = 0
    timestamps: str = ""


class Clip(NamedTuple):
    """One recording of a person, or of several at a time."""

    name: str
    subject: str
    action: str
    views: dict[str, View]
    test: bool = False
    frame_rate: float = 0.0
    num_frames: int = 0
    start: float | None = None
    reference: str = ""
    people: int = 1

    @property
    def names(self) -> list[str]:
        """The name of each person's clip: the recording's, with several `<name>_1` and on."""
        if self.people == 1:
            return [self.name]
        return [f"{self.name}_{number + 1}" for number in range(self.people)]


class Manifest(NamedTuple):
    """A whole manifest; the schema beside this module says what each field means."""

    path: pathlib.Path
    frame_rate: float
    calibration: CalibrationFile
    detections: DetectionFormat
    clips: tuple[Clip, ...]
    cameras: tuple[str, ...] = ()


def read(root: pathlib.Path) -> Manifest:
    """Reads a manifest: the file, or the one in a folder.

    Raises:
        RecordingError: If there is none, or a field breaks the schema, or names what the manifest
            does not have; names the field, its rule and what came.
    """
    path = find(root)
    content = reading.yaml(path, "manifest")
    _validate(path, content)
    frame_rate = float(content["frame_rate"])
    manifest = Manifest(
        path=path,
        frame_rate=frame_rate,
        calibration=CalibrationFile(**content["calibration"]),
        detections=DetectionFormat(**content["detections"]),
        clips=tuple(_clip(entry, frame_rate) for entry in content["clips"]),
        cameras=tuple(content.get("cameras", ())),
    )
    _check_names(manifest)
    return manifest


def find(root: pathlib.Path) -> pathlib.Path:
    """Finds the manifest that is a file or lies in a folder, where it must be the only one."""
    if not root.is_dir():
        return root
    found = [root / name for name in FILE_NAMES if (root / name).is_file()]
    rule, received = "be the folder's one manifest", " and ".join(path.name for path in found)
    errors.require_in(root, len(found) == 1, FILE_NAMES[0], rule, received or "none")
    return found[0]


@functools.cache
def schema() -> dict[str, Any]:
    """Returns the JSON Schema of manifests."""
    return json.loads(resources.files("keras_mvlift.datasets").joinpath(_SCHEMA).read_text())


def _clip(entry: dict[str, Any], frame_rate: float) -> Clip:
    views = {camera: View(**view) for camera, view in entry["views"].items()}
    return Clip(**({"frame_rate": frame_rate} | entry | {"views": views}))


def _validate(path: pathlib.Path, content: Any) -> None:
    found = _validator_class()(schema()).iter_errors(content)
    # The outermost and first: what is wrong further in may follow from it.
    error = min(found, key=lambda error: len(error.absolute_path), default=None)
    if error is not None:
        raise errors.RecordingError(path, *_explain(error))


@functools.cache
def _validator_class() -> "type[jsonschema.protocols.Validator]":
    # Only now: with the checkers of formats that stand beside it, it takes a second to import.
    import jsonschema

    # To JSON Schema 12.0 is an integer, and NaN a number that is not too great.
    def is_integer(_: Any, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def is_number(_: Any, value: Any) -> bool:
        return is_integer(_, value) or (isinstance(value, float) and np.isfinite(value))

    types = {"number": is_number, "integer": is_integer}
    base = jsonschema.Draft202012Validator
    return jsonschema.validators.extend(base, type_checker=base.TYPE_CHECKER.redefine_many(types))


def _explain(error: "jsonschema.ValidationError") -> tuple[str, str, Any]:
    field = re.sub(r"^\.", "", error.json_path.removeprefix("$")) or "manifest"
    limit = error.validator_value
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = sorted(set(error.instance) - set(known))[0]
        rule = f"have no key but {', '.join(known)}"
        return field, rule, f"{unknown!r}{errors.nearest(unknown, known)}"
    if error.validator == "required":
        missing = [name for name in limit if name not in error.instance]
        return f"{field}.{missing[0]}", "be there", "nothing"
    near = errors.nearest(error.instance, limit) if error.validator == "enum" else ""
    words = ", ".join(map(str, limit)) if isinstance(limit, list) else str(limit)
    rule = _RULES.get(error.validator, "fit the schema: {}").format(words)
    text = repr(error.instance)
    return field, rule, (text if len(text) <= 200 else f"{text[:200]}...") + near


_RULES = {
    "type": "be of type {}",
    "const": "be {}",
    "enum": "be one of {}",
    "pattern": "match {}",
    "minimum": "be at least {}",
    "maximum": "be at most {}",
    "exclusiveMinimum": "be greater than {}",
    "minLength": "not be empty",
    "maxLength": "have at most {} characters",
    "minItems": "have at least {} entries",
    "minProperties": "have at least {} entries",
    "uniqueItems": "name each once",
}


def _check_names(manifest: Manifest) -> None:
    """Refuses clips of one name, and views of cameras that are not listed."""
    names: set[str] = set()
    for index, clip in enumerate(manifest.clips):
        path, field = manifest.path, f"clips[{index}]"
        rule = "be left out where `people` is more than 1: it is of one person"
        is_told = clip.people == 1 or not clip.reference
        errors.require_in(path, is_told, f"{field}.reference", rule, clip.reference)
        is_new = not names & {clip.name, *clip.names}
        errors.require_in(path, is_new, f"{field}.name", "be each clip's own", clip.name)
        names |= {clip.name, *clip.names}
        unknown = [name for name in clip.views if manifest.cameras and name not in manifest.cameras]
        if unknown:
            rule = f"name some of the cameras {', '.join(manifest.cameras)}"
            received = unknown[0] + errors.nearest(unknown[0], manifest.cameras)
            raise errors.RecordingError(path, f"{field}.views", rule, received)
