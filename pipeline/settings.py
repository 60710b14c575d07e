"""What a pipeline is made from: a few configs, and thresholds."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from keras_mvlift import configs
from pipeline import infra_config, span_config, window_rules

_PARTS: dict[str, type[configs.Json]] = {
    "data": configs.DataConfig,
    "model": configs.ModelConfig,
    "pretrain": configs.PretrainConfig,
    "finetune": configs.FinetuneConfig,
    "tune": configs.TuneConfig,
}

# What of each stage follows the recipe.
_STAGES = {"pretrain": configs.pretraining, "finetune": configs.finetuning}

# What the first stage takes from what is chosen for the second, unless it is chosen for itself.
_SHARED = ("batch_size", "precision", "strategy", "resident_gb")

# Of objects without options of their own, and without a seed.
_OBJECTS: dict[str, type[configs.Json]] = {
    "infra_validation": infra_config.InfraValidationConfig,
    "window": span_config.WindowConfig,
    "drift": span_config.DriftConfig,
}

_FOLDER_NAME = re.compile(r"\w[\w.-]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """All that a pipeline does, but not where.

    Attributes:
        name: The pipeline's name; names its folder below the output root.
        data: Where sequences come from and what records are made of them.
        model: The networks and the recipe.
        pretrain: The first stage.
        finetune: The second stage.
        tune: The search for the second stage's λ and learning rate, if any.
        bounds: The worst values that bless a model, by metric: an error's most, a share's least.
        worsening: How much worse than the last blessed model a value may be, as a share of it.
        infra_validation: TensorFlow Serving's image that a model must load in, if any.
        window: What a run on spans trains on, and where it starts.
        drift: How far a new span may be from those before it.
        beam_pipeline_args: Where and how Beam runs; empty for its DirectRunner in this process.

    Raises:
        ValueError: If a field is not of its type, or the name is not fit for a folder.
    """

    name: str = "mvlift"
    data: configs.DataConfig = dataclasses.field(default_factory=configs.DataConfig)
    model: configs.ModelConfig = dataclasses.field(default_factory=configs.ModelConfig)
    pretrain: configs.PretrainConfig = dataclasses.field(default_factory=configs.PretrainConfig)
    finetune: configs.FinetuneConfig = dataclasses.field(
        default_factory=lambda: configs.FinetuneConfig(**configs.finetuning(configs.ModelConfig()))
    )
    tune: configs.TuneConfig = dataclasses.field(default_factory=configs.TuneConfig)
    bounds: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"mpjpe_mm": 150.0})
    worsening: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"mpjpe_mm": 0.1})
    infra_validation: infra_config.InfraValidationConfig = dataclasses.field(
        default_factory=infra_config.InfraValidationConfig
    )
    window: span_config.WindowConfig = dataclasses.field(default_factory=span_config.WindowConfig)
    drift: span_config.DriftConfig = dataclasses.field(default_factory=span_config.DriftConfig)
    # Given any word, TFX packs all of itself for workers elsewhere, once for each component: two
    # seconds, and 25 MB that it leaves in the temporary folder.
    beam_pipeline_args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        is_name = isinstance(self.name, str) and _FOLDER_NAME.fullmatch(self.name)
        _require(bool(is_name), "name", "be a folder's name", self.name)
        for field in ("bounds", "worsening"):
            thresholds = getattr(self, field)
            is_mapping = isinstance(thresholds, Mapping) and all(
                isinstance(value, int | float) for value in thresholds.values()
            )
            _require(is_mapping, field, "be an object of numbers", thresholds)
        arguments = self.beam_pipeline_args
        is_list = isinstance(arguments, tuple) and all(isinstance(word, str) for word in arguments)
        _require(is_list, "beam_pipeline_args", "be a list of words", arguments)
        is_joined = self.finetune.views == "pair" or self.model.recipe == "solved_root"
        rule = "be 'pair' unless the recipe is 'solved_root'"
        _require(is_joined, "finetune.views", rule, self.finetune.views)
        rule = "be 0 for a backbone that sees windows: trials are scored frame by frame"
        is_scored = not (self.model.is_temporal and self.tune.num_trials)
        _require(is_scored, "tune.num_trials", rule, self.tune.num_trials)
        window_rules.check(self.data, self.model, self.pretrain, self.finetune)

    def with_seed(self, seed: int) -> "PipelineConfig":
        """Gives every part of the pipeline the same seed."""
        parts = {name: dataclasses.replace(getattr(self, name), seed=seed) for name in _PARTS}
        return dataclasses.replace(self, **parts)

    def with_num_epochs(self, num_epochs: int) -> "PipelineConfig":
        """Gives the second stage that many epochs, and its decays the same share of them."""
        every = self.finetune.decay_every * num_epochs / max(self.finetune.num_epochs, 1)
        decay_every = max(1, round(every)) if self.finetune.decay_every else 0
        return dataclasses.replace(
            self,
            finetune=dataclasses.replace(
                self.finetune, num_epochs=num_epochs, decay_every=decay_every
            ),
        )

    def updated(self, settings: Mapping[str, Any]) -> "PipelineConfig":
        """Overrides fields by what a settings file says.

        Args:
            settings: Field to value; for a part such as `"data"`, a dict of its own fields.

        Raises:
            ValueError: If a field is unknown or breaks its rule.
        """
        known = {field.name for field in dataclasses.fields(self)}
        unknown = set(settings) - known
        if unknown:
            raise ValueError(
                f"`settings` must hold fields of {sorted(known)}. Received: {sorted(unknown)}."
            )
        changes = {
            name: self._updated_field(name, value)
            for name, value in settings.items()
            if name not in _STAGES
        }
        for name in _STAGES:
            if settings.keys() & {"model", "finetune", name}:
                changes[name] = self._stage(name, changes.get("model", self.model), settings)
        return dataclasses.replace(self, **changes)

    def _stage(
        self, name: str, model: configs.ModelConfig, settings: Mapping[str, Any]
    ) -> configs.Json:
        former = dataclasses.asdict(getattr(self, name))
        given = settings.get(name, {})
        _require(isinstance(given, Mapping), name, "be an object", given)
        if name == "pretrain":
            second = settings.get("finetune", {})
            _require(isinstance(second, Mapping), "finetune", "be an object", second)
            given = {key: second[key] for key in _SHARED if key in second} | given
        fields = configs.changed(_STAGES[name], former, self.model, model, given)
        return _PARTS[name].from_json(json.dumps(fields))

    def _updated_field(self, name: str, value: Any) -> Any:
        if name in _OBJECTS:
            _require(isinstance(value, Mapping), name, "be an object", value)
            changed = dataclasses.asdict(getattr(self, name)) | dict(value)
            return _OBJECTS[name].from_json(json.dumps(changed))
        if name not in _PARTS:
            return tuple(value) if isinstance(value, list) else value
        _require(isinstance(value, Mapping), name, "be an object", value)
        # Options of a source or a split are written as objects and travel as text.
        fields = {
            key: json.dumps(entry, sort_keys=True) if isinstance(entry, Mapping) else entry
            for key, entry in value.items()
        }
        former = json.loads(getattr(self, name).to_json())
        # Another source or split does not understand the options of the former one.
        for choice in ("source", "split"):
            if fields.get(choice, former.get(choice)) != former.get(choice):
                former[f"{choice}_options"] = "{}"
        merged = former | fields
        return _PARTS[name].from_json(json.dumps(merged))


def read(path: pathlib.Path) -> dict[str, Any]:
    """Reads a settings file, JSON.

    Raises:
        ValueError: If there is no such file, or it does not hold a JSON object.
    """
    try:
        settings = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{path}: `settings` must be a file. Received: {error}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: `settings` must be JSON. Received: {error}.") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: `settings` must be a JSON object. Received: {settings!r}.")
    return settings


def _require(holds: bool, field: str, rule: str, received: object) -> None:
    if not holds:
        raise ValueError(f"`{field}` must {rule}. Received: {received!r}.")
