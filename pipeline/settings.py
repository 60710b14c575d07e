"""What a pipeline is made from: a few configs, and thresholds."""

import dataclasses
import json
import pathlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from keras_mvlift import configs, errors, inference
from keras_mvlift.datasets.rigs import calibration_files
from keras_mvlift.untrusted import files, reading

# What of each stage follows the recipe.
_STAGES = {"pretrain": configs.pretraining, "finetune": configs.finetuning}

# Of fine-tuning a trained model: ten times as much loses what it has learned before.
_GENTLE_RATE = 1e-4

# What the first stage takes from what is chosen for the second, unless it is chosen for itself.
_SHARED = ("batch_size", "precision", "strategy", "resident_gb")


def _matching(pattern: str, words: str) -> configs.Rule:
    matches = re.compile(pattern).fullmatch
    return configs.rule(lambda value: isinstance(value, str) and bool(matches(value)), words)


_PART_OF_IMAGE = "be the name of an image's part"


@dataclasses.dataclass(frozen=True, kw_only=True)
class InfraValidationConfig(configs.Json):
    """A check of each model in TensorFlow Serving's image, by Docker.

    Attributes:
        tag: Of the image, such as `"2.15.1"`; empty for no check.
        serving_image: The image.
        num_examples: Test views that the server is asked to lift; models of windows are only
            loaded, which runs their warm-up requests.
        num_tries: How often the server is started before a model is refused.
        max_loading_seconds: The most for a start.
        docker_url: Where Docker listens, such as `"tcp://localhost:2375"`; empty for its socket.
    """

    tag: Annotated[str, _matching(r"([\w][\w.-]{0,127})?", _PART_OF_IMAGE)] = ""
    serving_image: Annotated[str, _matching(r"[\w][\w./:-]*", _PART_OF_IMAGE)] = (
        "tensorflow/serving"
    )
    num_examples: configs.Positive = 8
    num_tries: configs.Positive = 2
    max_loading_seconds: configs.Positive = 120
    docker_url: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowConfig(configs.Json):
    """What a run on spans trains on, and where it starts.

    Attributes:
        num_spans: The newest and so many less one before it are trained and tested on.
        warm_start: Whether training goes on from the last blessed model.
    """

    num_spans: configs.Positive = 5
    warm_start: bool = True


WARN, STOP = "warn", "stop"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DriftConfig(configs.Json):
    """How far a new span may be from those before it.

    Each number is the most that a feature may be off: the Jensen-Shannon divergence, from 0 to 1,
    or for `camera` the change of a camera's share of the pairs; 0 compares nothing.

    Attributes:
        action: `"warn"`, or `"stop"` the run and train no later one on the span.
        keypoints_2d: Where joints are seen, pixels.
        confidence: How sure the detector is.
        intrinsics: Focal lengths and image centers.
        rotation: How the cameras are turned.
        center: Where the cameras stand.
        camera: How often each camera sees somebody.
    """

    action: Annotated[str, configs.one_of(WARN, STOP)] = WARN
    # By measure (benchmarks/drift.py), days of one simulated rig, other people and motions, differ
    # by less, and a rig or a detector that changed by more.
    keypoints_2d: configs.Share = 0.12
    confidence: configs.Share = 0.05
    intrinsics: configs.Share = 0.05
    rotation: configs.Share = 0.07
    center: configs.Share = 0.07
    camera: configs.Share = 0.1

    @property
    def thresholds(self) -> dict[str, float]:
        """The numbers by feature."""
        fields = dataclasses.asdict(self)
        return {name: most for name, most in fields.items() if name != "action"}


def _are_thresholds(value: Any) -> bool:
    is_mapping = isinstance(value, Mapping)
    return is_mapping and all(isinstance(most, int | float) for most in value.values())


def check_workers(name: str, arguments: Sequence[str]) -> None:
    """Refuses, by an ArgumentError, processes of Beam's DirectRunner that no shell would start.

    It has a shell start Python by its path as it is, and waits for ever where there is a space.
    """
    is_apart = any("multi_processing" in word for word in arguments)
    rule = "start no processes (multi_processing) where Python's path has a space: take threads"
    is_whole = not is_apart or " " not in sys.executable
    errors.require(is_whole, name, f"{rule} (multi_threading)", sys.executable)


Name = Annotated[Any, _matching(r"\w[\w.-]*", "be a folder's name")]
Thresholds = Annotated[
    Mapping[str, float], configs.rule(_are_thresholds, "be an object of numbers")
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineConfig(configs.Checked):
    """All that a pipeline does, but not where.

    Attributes:
        name: The pipeline's name; names its folder below the output root.
        data: Where sequences come from and what records are made of them.
        model: The networks and the recipe.
        start_from: A trained model to start from instead of from random weights, as `load_model`
            takes it: `"studio"`, or where one lies; empty for none. The model's settings follow it.
        rival: A trained model that training from random weights has to beat, as `load_model` takes
            it: it is fitted in closed form, and trained on without being let forget, and what
            scores best without labels is judged and pushed; empty for none. With `start_from` that
            is fitted beside being trained on. Not for models of windows or with uncertainty.
        pretrain: The first stage; a trained start has nothing to pre-train.
        finetune: The second stage.
        tune: The search for the second stage's λ and learning rate, if any.
        bounds: The worst values that bless a model, by metric: an error's most, a share's least.
        worsening: How much worse than the last blessed model a value may be, as a share of it.
        infra_validation: TensorFlow Serving's image that a model must load in, if any.
        window: What a run on spans trains on, and where it starts.
        drift: How far a new span may be from those before it.
        rig_check: What an error in the rig does, where one's own is read: `"stop"` the run before
            training, or `"warn"`.
        beam_pipeline_args: Where and how Beam runs; empty for its DirectRunner in this process.

    Raises:
        ValueError: If a field is not of its type, or the name is not fit for a folder.
    """

    name: Name = "mvlift"
    data: configs.DataConfig = dataclasses.field(default_factory=configs.DataConfig)
    model: configs.ModelConfig = dataclasses.field(default_factory=configs.ModelConfig)
    start_from: str = ""
    rival: str = ""
    pretrain: configs.PretrainConfig = dataclasses.field(default_factory=configs.PretrainConfig)
    finetune: configs.FinetuneConfig = dataclasses.field(
        default_factory=lambda: configs.FinetuneConfig(**configs.finetuning(configs.ModelConfig()))
    )
    tune: configs.TuneConfig = dataclasses.field(default_factory=configs.TuneConfig)
    bounds: Thresholds = dataclasses.field(default_factory=lambda: {"mpjpe_mm": 150.0})
    worsening: Thresholds = dataclasses.field(default_factory=lambda: {"mpjpe_mm": 0.1})
    infra_validation: InfraValidationConfig = dataclasses.field(
        default_factory=InfraValidationConfig
    )
    window: WindowConfig = dataclasses.field(default_factory=WindowConfig)
    drift: DriftConfig = dataclasses.field(default_factory=DriftConfig)
    rig_check: Annotated[str, configs.one_of(WARN, STOP)] = STOP
    # Given any word, TFX packs all of itself for workers elsewhere, once for each component: two
    # seconds, and 25 MB that it leaves in the temporary folder.
    beam_pipeline_args: Annotated[tuple[str, ...], check_workers] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        views = self.finetune.views
        is_joined = views == "pair" or self.model.recipe == "solved_root"
        rule = "be 'pair' unless the recipe is 'solved_root'"
        errors.require(is_joined, "finetune.views", rule, repr(views))
        rule = "be 0 for a backbone that sees windows: trials are scored frame by frame"
        is_scored = not (self.model.is_temporal and self.tune.num_trials)
        errors.require(is_scored, "tune.num_trials", rule, self.tune.num_trials)
        check(self.data, self.model, self.pretrain, self.finetune)
        if self.rival:
            theirs = started(self.rival, "rival")
            is_fit = not theirs.is_temporal and theirs.network_input != "screen"
            rule = "lift single frames by rays or centered views"
            errors.require(is_fit, "rival", rule, repr(self.rival))
        start = started(self.start_from) if self.start_from else self.model
        if names := self.model.differences(start):
            has, asked = (
                ", ".join(f"{name} {getattr(model, name)!r}" for name in names)
                for model in (start, self.model)
            )
            rule = f"be a model with {asked}, as `model` says"
            raise ValueError(f"`start_from` must {rule}. Received: {self.start_from!r} with {has}.")

    @property
    def candidate(self) -> str:
        """The trained model that is tried beside the training; empty for none."""
        is_alike = not (self.model.is_temporal or self.model.uncertainty)
        return (self.start_from or self.rival) if self.rival and is_alike else ""

    def with_seed(self, seed: int) -> "PipelineConfig":
        """Returns every part of the pipeline the same seed."""
        parts = {name: getattr(self, name) for name in _PARTS}
        seeded = {name: part for name, part in parts.items() if hasattr(part, "seed")}
        parts = {name: dataclasses.replace(part, seed=seed) for name, part in seeded.items()}
        return dataclasses.replace(self, **parts)

    def with_num_epochs(self, num_epochs: int) -> "PipelineConfig":
        """Returns the second stage that many epochs, and its decays the same share of them."""
        every = self.finetune.decay_every * num_epochs / max(self.finetune.num_epochs, 1)
        decay_every = max(1, round(every)) if self.finetune.decay_every else 0
        changes: dict[str, Any] = {"num_epochs": num_epochs, "decay_every": decay_every}
        return dataclasses.replace(self, finetune=dataclasses.replace(self.finetune, **changes))

    def updated(self, settings: Mapping[str, Any]) -> "PipelineConfig":
        """Overrides fields by what a settings file says; of a part, by its own fields.

        Raises:
            ValueError: If a field is unknown or breaks its rule.
        """
        if settings.get("start_from") and isinstance(settings.get("model", {}), Mapping):
            start = dataclasses.asdict(started(settings["start_from"])) | {"seed": self.model.seed}
            settings = {**settings, "model": start | dict(settings.get("model", {}))}
        known = {field.name for field in dataclasses.fields(self)}
        if unknown := set(settings) - known:
            near = errors.nearest(min(unknown), known) or "."
            raise ValueError(
                f"`settings` must hold fields of {sorted(known)}. Received: {sorted(unknown)}{near}"
            )
        given = {name: value for name, value in settings.items() if name not in _STAGES}
        changes = {name: self._updated_field(name, value) for name, value in given.items()}
        for name in _STAGES:
            if settings.keys() & {"model", "finetune", name}:
                changes[name] = self._stage(name, changes.get("model", self.model), settings)
        return dataclasses.replace(self, **changes)

    def as_settings(self) -> dict[str, Any]:
        """Returns what a settings file says that asks for all of this."""
        said: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        for part in said.values():
            for name in part if isinstance(part, dict) else ():
                if name.endswith("_options"):
                    part[name] = json.loads(part[name])
        return said

    def _stage(
        self, name: str, model: configs.ModelConfig, settings: Mapping[str, Any]
    ) -> configs.Json:
        former = dataclasses.asdict(getattr(self, name))
        given = _object(name, settings.get(name, {}))
        if name == "pretrain":
            second = _object("finetune", settings.get("finetune", {}))
            given = {key: second[key] for key in _SHARED if key in second} | given
        elif settings.get("start_from"):
            given = {"learning_rate": _GENTLE_RATE, **given}
        fields = configs.changed(_STAGES[name], former, self.model, model, given)
        return _of_part(name, fields)

    def _updated_field(self, name: str, value: Any) -> Any:
        if name not in _PARTS:
            return tuple(value) if isinstance(value, list) else value
        # Options of a source or a split are written as objects and travel as text.
        fields = {
            key: json.dumps(entry, sort_keys=True) if isinstance(entry, Mapping) else entry
            for key, entry in _object(name, value).items()
        }
        former = json.loads(getattr(self, name).to_json())
        # Another source or split does not understand the options of the former one.
        for choice in ("source", "split"):
            if fields.get(choice, former.get(choice)) != former.get(choice):
                former[f"{choice}_options"] = "{}"
        # Networks of windows see rays alone.
        if fields.get("backbone") == "temporal_dilated":
            former["network_input"] = "rays"
        return _of_part(name, former | fields)


_PARTS: dict[str, Any] = {
    field.name: field.type
    for field in dataclasses.fields(PipelineConfig)
    if dataclasses.is_dataclass(field.type)
}


def started(path: str, field: str = "start_from") -> configs.ModelConfig:
    """Reads the networks of a model to start from, which errors call `field`.

    Raises:
        ValueError: If no model lies there, or it does not say which networks it has.
    """
    try:
        return configs.ModelConfig.from_description(inference.load_model(path).description)
    except (OSError, ValueError, LookupError) as error:
        rule = "be a trained model: the name of a shipped one, or its folder"
        raise ValueError(f"`{field}` must {rule}. Received: {path!r}: {error}") from error


def _object(name: str, value: Any) -> dict[str, Any]:
    errors.require(isinstance(value, Mapping), name, "be an object", repr(value))
    return dict(value)


def _of_part(name: str, fields: Mapping[str, Any]) -> configs.Json:
    """Makes a part; what is of a wrong type is called by the part's name, too."""
    try:
        return _PARTS[name].from_json(json.dumps(fields))
    except errors.ArgumentError as error:
        raise errors.ArgumentError(f"{name}.{error.field}", error.rule, error.received) from error


def read(path: pathlib.Path) -> dict[str, Any]:
    """Reads a settings file: YAML or TOML by its ending, else JSON.

    Raises:
        ValueError: If there is no such file, or it does not hold an object.
    """
    readers: dict[str, Callable[[pathlib.Path, str], Any]] = {
        ".yaml": reading.yaml,
        ".yml": reading.yaml,
        ".toml": calibration_files.read_tables,
    }
    try:
        settings = readers.get(path.suffix.lower(), files.read_json)(path, "settings")
        errors.require_in(
            path, isinstance(settings, dict), "settings", "be an object", repr(settings)
        )
    except errors.RecordingError as error:
        # No recording is at fault, so that none is given up for it.
        raise ValueError(str(error)) from error
    return settings


_JSON_TYPES = {bool: "boolean", int: "integer", float: "number"}


def schema() -> dict[str, Any]:
    """Returns the JSON schema of settings files, for editors that complete and check."""
    made = _schema_of(PipelineConfig)
    made["properties"]["preset"] = {"enum": ["default", "paper"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _schema_of(config: Any) -> dict[str, Any]:
    about = dict(re.findall(r"^ +(\w+): ((?:.|\n {12})+)", config.__doc__ or "", re.MULTILINE))
    properties = {}
    for field in dataclasses.fields(config):
        kind = configs.kind_of(field)
        if dataclasses.is_dataclass(kind):
            made = _schema_of(kind)
        elif kind in (str, Any):
            # Options of a source or a split are objects that travel as text.
            made = {"type": ["object", "string"] if field.name.endswith("_options") else "string"}
        else:
            made = {"type": _JSON_TYPES.get(kind, "array" if "tuple" in str(kind) else "object")}
        if field.name in about:
            made = {"description": " ".join(about[field.name].split()), **made}
        properties[field.name] = made
    return {"type": "object", "additionalProperties": False, "properties": properties}


def check(
    data: configs.DataConfig, model: configs.ModelConfig, *stages: configs.StageConfig
) -> None:
    """Holds the parts of a pipeline to each other, by a ValueError; single frames ask nothing."""
    if not model.is_temporal:
        return
    rules = [
        ("data.num_virtual_views", data.num_virtual_views, 0, "virtual cameras make no windows"),
        *(("patience", stage.patience, 0, "its score is of single frames") for stage in stages),
        *(
            ("finetune.views", stage.views, "pair", "whole instants are read frame by frame")
            for stage in stages
            if isinstance(stage, configs.FinetuneConfig)
        ),
    ]
    for field, value, needed, why in rules:
        rule = f"be {needed!r} with backbone {model.backbone!r}: {why}"
        errors.require(value == needed, field, rule, repr(value))
    for field in ("stride", "test_stride"):
        stride = getattr(data, field)
        rule = f"be a multiple of `data.{field}`, {stride}, or windows have holes"
        errors.require(not model.frame_step % stride, "model.frame_step", rule, model.frame_step)
