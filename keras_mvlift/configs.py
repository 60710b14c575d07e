"""Every choice of a run as a frozen dataclass, checked where it is made.

What the paper leaves open is one field here; its docstring says what is known. All of them go
to JSON and back, which is how they travel through a pipeline.
"""

import dataclasses
import json
import numbers
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from keras_mvlift import errors

RECIPES = ("paper", "ray_root", "solved_root")
PRETRAINED_RECIPES = ("paper",)
"""Those that converge only from a pre-trained start."""
TEMPORAL = "temporal_dilated"
BACKBONES = ("paper", "res_linear", TEMPORAL)
CONFIDENCE_WEIGHTINGS = ("source", "target", "product", "none")
DISTANCES = ("norm", "squared_norm")
NETWORK_INPUTS = ("rays", "centered", "screen")
FAN_IN_UNIFORM = "fan_in_uniform"
INITIALIZERS = ("he_normal", "he_uniform", "glorot_normal", "glorot_uniform", FAN_IN_UNIFORM)
VIEWS = ("pair", "all")
VIRTUAL_POINTS = ("triangulated", "reference")
STRATEGIES = ("none", "mirrored", "multi_worker")
PRECISIONS = ("float32", "mixed_bfloat16")

# What all configs share: a field's type is its rule, checked where a config is made, and configs go
# to JSON and back.

Rule = Callable[[str, Any], None]
"""Refuses, by an `ArgumentError`, a value of the field of a name."""

# What is checked of each type, its word, and that of many.
_TYPES: dict[Any, tuple[type, str, str]] = {
    int: (numbers.Integral, "a whole number", "whole numbers"),
    float: (numbers.Real, "a number", "numbers"),
    bool: (bool, "true or false", "truths"),
    str: (str, "a text", "texts"),
    os.PathLike[str]: (os.PathLike, "a path", "paths"),
    types.NoneType: (types.NoneType, "nothing", "nothing"),
}


def rule(holds: Callable[[Any], bool], words: str) -> Rule:
    """Makes a rule: a test, and what a value must be or do."""
    return lambda name, value: errors.require(holds(value), name, words, repr(value))


def at_least(name: str, value: float, least: float) -> None:
    """Raises an ArgumentError if a field is less than its lower bound, or not a number."""
    errors.require(value >= least, name, f"be at least {least}", value)


def _least(least: float) -> Rule:
    return lambda name, value: at_least(name, value, least)


def one_of(*names: str) -> Rule:
    """Makes the rule that a value must be one of some names."""
    return lambda name, value: errors.require_known(name, value, names)


def filter_widths(name: str, widths: Sequence[int]) -> None:
    """Refuses, by an ArgumentError, what convolutions of a temporal backbone cannot be.

    They are two or more odd numbers, above 1 or all 1.
    """
    is_list = isinstance(widths, tuple | list)
    is_odd = is_list and all(isinstance(size, int) and size > 0 and size % 2 for size in widths)
    holds = is_odd and len(widths) >= 2 and (1 not in widths or max(widths) == 1)
    received = tuple(widths) if is_list else widths
    errors.require(holds, name, "be two or more odd numbers, above 1 or all 1", received)


def json_object(name: str, text: str) -> None:
    """Refuses, by an ArgumentError, a text that is no JSON object."""
    try:
        errors.require_type(name, json.loads(text), dict, "be a JSON object")
    except json.JSONDecodeError as error:
        met = f"{text!r}, {errors.met(error)}"
        raise errors.ArgumentError(name, "be a JSON object", met) from error


Count = Annotated[int, _least(0)]
Positive = Annotated[int, _least(1)]
Weight = Annotated[float, _least(0)]
Above0 = Annotated[float, rule(lambda value: value > 0, "be positive")]
FrameRate = Annotated[
    float, rule(lambda rate: 0 < rate <= errors.MAX_FRAME_RATE, errors.FRAME_RATE_RULE)
]
Share = Annotated[float, rule(lambda value: 0 <= value <= 1, "lie in [0, 1]")]
ShareBelow1 = Annotated[float, rule(lambda value: 0 <= value < 1, "lie in [0, 1)")]
Range = Annotated[
    tuple[float, float],
    rule(
        lambda limits: len(limits) == 2 and 0 < limits[0] < limits[1],
        "be two positive numbers, the lesser first",
    ),
]

FilterWidths = Annotated[tuple[int, ...], filter_widths]
JsonObject = Annotated[str, json_object]

Config = TypeVar("Config", bound="Json")


class Checked:
    """A dataclass that holds its fields to their types, and to the rules these are annotated with.

    What breaks one is an ArgumentError.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value, kind = getattr(self, field.name), kind_of(field)
            errors.require(_fits(kind, value), field.name, f"be {_word(kind)}", repr(value))
            for check in getattr(field.type, "__metadata__", ()):
                check(field.name, value)


_UNIONS = (types.UnionType, typing.Union)


def _fits(kind: Any, value: Any) -> bool:
    """Tells whether a value is of a field's type; of types that have no word anything is."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in _UNIONS:
        return any(_fits(part, value) for part in parts)
    if origin is tuple:
        return isinstance(value, tuple | list) and all(_fits(parts[0], each) for each in value)
    known = kind if dataclasses.is_dataclass(kind) else object
    checked = _TYPES.get(kind, (known,))[0]
    is_truth = isinstance(value, bool) and checked in (numbers.Integral, numbers.Real)
    return isinstance(value, checked) and not is_truth  # type: ignore[arg-type]


def _word(kind: Any) -> str:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in _UNIONS:
        return " or ".join(map(_word, parts))
    if origin is tuple:
        return f"a list of {_TYPES[parts[0]][2]}" if parts[0] in _TYPES else "a list"
    return _TYPES[kind][1] if kind in _TYPES else f"a {getattr(kind, '__name__', kind)}"


def kind_of(field: dataclasses.Field[Any]) -> Any:
    """Returns the type of a field, without its rules."""
    is_annotated = hasattr(field.type, "__metadata__")
    return field.type.__origin__ if is_annotated else field.type  # type: ignore[union-attr]


class Json(Checked):
    """A checked dataclass that goes to JSON and back."""

    def to_json(self) -> str:
        """Writes the fields, sorted, so that equal configs give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls: type[Config], text: str) -> Config:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If a field is unknown or breaks its rule.
        """
        values = json.loads(text)
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if unknown := sorted({*values} - known):
            near = errors.nearest(unknown[0], known) or "."
            raise ValueError(f"`{cls.__name__}` has no such fields. Received: {unknown}{near}")
        frozen = {name: tuple(x) if isinstance(x, list) else x for name, x in values.items()}
        return cls(**frozen)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(Json):
    """The two networks and how they are joined.

    Attributes:
        recipe: `"paper"`, `"ray_root"` or `"solved_root"`; docs/method.md compares them.
        backbone: `"paper"` (four residual blocks), `"res_linear"` (two), or `"temporal_dilated"`,
            which sees a window of frames around the one that it lifts.
        width: Units of each layer; the paper's 1024.
        layers_per_block: Dense layers of a residual block. The paper says two for its own network.
        filter_widths: Frames of each convolution of `"temporal_dilated"`, which alone reads this
            and the next two. A window has their product, 243.
        is_causal: Whether it lifts a window's last frame, not its middle.
        frame_step: Frames of the clip from one frame of a window to the next.
        dropout: Share of units dropped. Unknown in the paper; Martinez et al. have 0.5.
        network_input: `"rays"` (camera-normalized), `"centered"` (rays of a camera turned towards
            the person, and their size) or `"screen"` (pixels scaled alike for all cameras); the
            last two for single-frame backbones only. Unknown in the paper.
        initializer: The dense layers' initialization: `"fan_in_uniform"`, PyTorch's, which is
            likely the paper's, within the inverse root of the inputs' number; or Keras' name of
            another.
        output_stddev: Standard deviation of the output layers' weights at the start. Unknown in
            the paper; networks that start meters away from any pose converge badly.
        uncertainty: Whether a network of its own tells how far off each joint is likely to be; for
            single-frame backbones.
        seed: Of the initial weights and the dropout masks.
    """

    recipe: Annotated[str, one_of(*RECIPES)] = "solved_root"
    backbone: Annotated[str, one_of(*BACKBONES)] = "paper"
    width: Positive = 1024
    layers_per_block: Positive = 2
    filter_widths: FilterWidths = (3, 3, 3, 3, 3)
    is_causal: bool = False
    frame_step: Positive = 1
    dropout: ShareBelow1 = 0.25
    network_input: Annotated[str, one_of(*NETWORK_INPUTS)] = "rays"
    initializer: Annotated[str, one_of(*INITIALIZERS)] = FAN_IN_UNIFORM
    output_stddev: Weight = 0.002
    uncertainty: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"where the backbone is {self.backbone!r}"
        sees, rule = self.network_input, f"be 'rays' {where}"
        errors.require(not self.is_temporal or sees == "rays", "network_input", rule, repr(sees))
        is_plain = not (self.is_temporal and self.uncertainty)
        errors.require(is_plain, "uncertainty", f"be False {where}", True)

    @property
    def is_temporal(self) -> bool:
        """Whether the backbone sees windows of frames."""
        return self.backbone == TEMPORAL

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "ModelConfig":
        """Reads what a model's description says; fields that were not there yet have defaults.

        Raises:
            ValueError: If a field is unknown or breaks its rule.
        """
        return cls.from_json(json.dumps(description["model"]))

    def differences(self, other: "ModelConfig") -> list[str]:
        """Names the fields in which networks are of another kind, so that weights do not fit."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return sorted(name for name in mine if name not in _FREE and mine[name] != theirs[name])


# What may differ: the first says how weights are trained, the others how they are first drawn.
_FREE = {"dropout", "initializer", "output_stddev", "seed"}

# The paper clips no gradients. Other recipes do, by a choice of ours.
_CLIP_NORM = 1.0


def clip_norm(recipe: str) -> float:
    """Returns the global norm to which a recipe's gradients are clipped, 0 for none."""
    return 0.0 if recipe == "paper" else _CLIP_NORM


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageConfig(Json):
    """What both training stages choose.

    Attributes:
        num_epochs: Passes over the pairs.
        batch_size: Pairs per step. Unknown in the paper.
        learning_rate: Of Adam at the start; the paper's 1e-3.
        decay_rate: Factor on the learning rate after each `decay_every` epochs; the paper's 0.1.
        decay_every: Epochs between decays; 0 for a constant rate. The paper's 100 in fine-tuning.
        clip_norm: Global norm to which gradients are clipped; 0 for none, as in the paper. That the
            other recipes clip to 1 is our choice.
        weight_averaging: Decay of the moving average of the weights that is kept at the end; 0
            for none, as in the paper.
        patience: Epochs without a better score in held-out views after which the stage ends and
            goes back to its best epoch; 0 for all epochs and the last, as in the paper.
        strategy: How a batch is spread: `"none"`, `"mirrored"` over all GPUs of this machine, or
            `"multi_worker"` over the processes that `TF_CONFIG` lists.
        precision: What the networks' layers reckon in: `"float32"`, or `"mixed_bfloat16"`, for
            processors and GPUs that are faster at it. Weights, geometry and losses stay float32.
        resident_gb: Most memory that pairs may take to be kept there, read once and each view
            once, on the GPU if one trains; more of them are streamed anew in each epoch.
        seed: Of the order of the pairs.
    """

    num_epochs: Count
    batch_size: Annotated[int, _least(2)] = 1024
    learning_rate: Above0 = 1e-3
    decay_rate: Annotated[float, rule(lambda value: 0 < value <= 1, "lie in (0, 1]")] = 0.1
    decay_every: Count = 0
    clip_norm: Weight = 1.0
    weight_averaging: ShareBelow1 = 0.0
    patience: Count = 0
    strategy: Annotated[str, one_of(*STRATEGIES)] = "none"
    precision: Annotated[str, one_of(*PRECISIONS)] = "float32"
    resident_gb: Weight = 2.0
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainConfig(StageConfig):
    """The first stage, on view pairs: eq. (6), or what `multi_view_lifter.Recipe` says instead."""

    num_epochs: Count = 20


# Meters. The slope of 1 / z there is a 25th of that at ten centimeters: where nothing is clipped,
# one stray point behind a camera would outweigh all others for hundreds of steps.
LEAST_DEPTH = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneConfig(StageConfig):
    """The second stage, on eq. (7); docs/method.md derives what the paper does not have.

    The weights of the reprojection and of the triangulated pose need `views="all"`.

    Attributes:
        views: What a lifted pose is compared with: one other view, `"pair"`, as in the paper, or
            `"all"` views of its instant, in recipe `solved_root` alone. A batch holds as many pairs
            or instants; of a pair both views are lifted, of an instant one.
        transform_weight: λ; set per dataset in the paper, to values it does not give.
        confidence_weighting: Whose confidence weights an error in the other view: `"source"`,
            as eq. (5) is printed, `"target"`, `"product"` or `"none"`.
        distance: `"norm"` or `"squared_norm"`; the paper's figures cannot tell which.
        least_depth: Meters from a camera below which eqs. (2) and (5) continue `1 / z` by its
            tangent, also behind the camera. Unknown in the paper; 0.001 is as good as no guard.
        reprojection_weight: Of eqs. (2) and (5) alike; 0 for the triangulated pose alone.
        triangulation_weight: Of the distance to the pose that is triangulated robustly from the
            instant's views. A length, which counts as the pixels that it would be at the person's
            distance: 1 weighs it like a view's error.
        flip_augmentation: Whether a pair or an instant is mirrored with probability 1/2, its
            cameras too.
    """

    num_epochs: Count = 300
    decay_every: Count = 100
    views: Annotated[str, one_of(*VIEWS)] = "pair"
    transform_weight: Weight = 1.0
    confidence_weighting: Annotated[str, one_of(*CONFIDENCE_WEIGHTINGS)] = "source"
    distance: Annotated[str, one_of(*DISTANCES)] = "norm"
    least_depth: Above0 = LEAST_DEPTH
    reprojection_weight: Weight = 1.0
    triangulation_weight: Weight = 0.0
    flip_augmentation: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _OF_ALL_VIEWS:
            value = getattr(self, name)
            if self.views != "all" and value != getattr(type(self), name):
                rule = f"needs `views='all'`, not {self.views!r}"
                raise ValueError(f"`{name}` {rule}. Received: {value!r}.")
        if not self.reprojection_weight and not self.triangulation_weight:
            rule = "`reprojection_weight` needs `triangulation_weight` where it is 0"
            raise ValueError(f"{rule}. Received: {self.triangulation_weight}.")


# Those that only a pose compared with all views of its instant can have.
_OF_ALL_VIEWS = ("reprojection_weight", "triangulation_weight")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Json):
    """Where sequences come from and what records are made of them.

    Attributes:
        source: A name of `sources.SOURCES`.
        source_options: That source's own arguments as JSON, without its folder.
        split: A name of `preparation.SPLITS`.
        split_options: That split's own arguments as JSON.
        stride: Every how many frames one is taken to train on.
        test_stride: Every how many frames one is taken to test on.
        min_joints: Joints that a view must show to be used.
        min_confidence: Detections less sure are left out of triangulation.
        num_virtual_views: Virtual cameras per instant; 0 for none. The paper adds 8 to 4.
        virtual_points: What they see: `"triangulated"` from the detections, free of 3D labels, or
            the `"reference"`, as the paper may have it, which is a 3D label.
        virtual_elevation_margin: Radians by which they may stand higher or lower than the real
            cameras. Unknown in the paper.
        pairs_per_instant: Pairs drawn of an instant's views; 0 for all.
        max_lost_share: The share of the clips that may turn out unreadable before a run fails.
        seed: Of the virtual cameras and of the draws.
    """

    source: str = "pose2sim"
    source_options: JsonObject = "{}"
    split: str = "blocks"
    split_options: JsonObject = "{}"
    stride: Positive = 1
    test_stride: Positive = 1
    min_joints: Positive = 8
    min_confidence: Share = 0.3
    num_virtual_views: Count = 0
    virtual_points: Annotated[str, one_of(*VIRTUAL_POINTS)] = "triangulated"
    virtual_elevation_margin: Weight = 0.09
    pairs_per_instant: Count = 0
    max_lost_share: Share = 0.05
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig(Json):
    """A search before the second stage, by the score without labels.

    The paper sets λ per data set and does not say how. The first trial is of the second stage's
    own settings, the others are drawn, logarithmically even, from the ranges.

    Attributes:
        num_trials: How many settings are tried; 0 for no search.
        num_epochs: Of each trial.
        transform_weight: The least and the most λ.
        learning_rate: The least and the most learning rate at the start.
        seed: Of what is drawn.
    """

    num_trials: Count = 0
    num_epochs: Positive = 10
    transform_weight: Range = (0.1, 10.0)
    learning_rate: Range = (1e-4, 1e-2)
    seed: int = 0

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The ranges by the name of the stage's setting."""
        return {"transform_weight": self.transform_weight, "learning_rate": self.learning_rate}


# What a stage of training is by default, which depends on the networks and their recipe.

_PAIRS: dict[str, Any] = {
    "views": "pair",
    "confidence_weighting": "source",
    "triangulation_weight": 0.0,
    "flip_augmentation": False,
}
_ALL_VIEWS: dict[str, Any] = {
    "views": "all",
    "confidence_weighting": "target",
    "triangulation_weight": 1.0,
}


def pretraining(model: ModelConfig) -> dict[str, Any]:
    """Returns the fields of `PretrainConfig` that follow the recipe."""
    return {"clip_norm": clip_norm(model.recipe)}


def finetuning(model: ModelConfig) -> dict[str, Any]:
    """Returns the fields of `FinetuneConfig` that do best, as far as measured (docs/method.md).

    Recipe `solved_root` is trained on all views of an instant and on the pose that they
    triangulate, mirrored at random where its networks see centered views; other recipes, and
    networks that see windows of frames, on pairs as in the paper.
    """
    if model.recipe != "solved_root" or model.is_temporal:
        return pretraining(model) | _PAIRS
    is_mirrored = model.network_input == "centered"
    return pretraining(model) | _ALL_VIEWS | {"flip_augmentation": is_mirrored}


def changed(
    stage: Callable[[ModelConfig], dict[str, Any]],
    fields: Mapping[str, Any],
    former: ModelConfig,
    model: ModelConfig,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Changes settings of a stage, of `pretraining` or `finetuning`, made for other networks.

    Fields that are given now are taken; what nobody chose follows the networks.
    """
    fields = dict(fields)
    if stage(former).items() <= fields.items():
        fields |= stage(model)
    if given.get("views") == "pair" and fields["views"] != "pair":
        fields |= _PAIRS
    return fields | dict(given)
