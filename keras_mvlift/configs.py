"""Every choice of a run as a frozen dataclass, checked where it is made.

What the paper leaves open is one field here; its docstring says what is known. All of them go
to JSON and back, which is how they travel through a pipeline.
"""

import dataclasses

from keras_mvlift import config_rules, finetune_switches

RECIPES = ("paper", "ray_root", "solved_root")
TEMPORAL = "temporal_dilated"
BACKBONES = ("paper", "res_linear", TEMPORAL)
CONFIDENCE_WEIGHTINGS = ("source", "target", "product", "none")
DISTANCES = ("norm", "squared_norm")
NETWORK_INPUTS = ("rays", "screen")
FAN_IN_UNIFORM = "fan_in_uniform"
INITIALIZERS = ("he_normal", "he_uniform", "glorot_normal", "glorot_uniform", FAN_IN_UNIFORM)
VIEWS = ("pair", "all")
VIRTUAL_POINTS = ("triangulated", "reference")
STRATEGIES = ("none", "mirrored", "multi_worker")
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(config_rules.Json):
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
        network_input: `"rays"` (camera-normalized) or `"screen"` (pixels scaled alike for all
            cameras; single-frame backbones only). Unknown in the paper.
        initializer: Keras' name of the dense layers' initialization, or `"fan_in_uniform"`,
            PyTorch's, which is likely the paper's: within the inverse root of the inputs' number.
        output_stddev: Standard deviation of the output layers' weights at the start. Unknown in
            the paper; networks that start meters away from any pose converge badly.
        uncertainty: Whether a network of its own tells how far off each joint is likely to be; for
            single-frame backbones.
        seed: Of the initial weights and the dropout masks.
    """

    recipe: str = "solved_root"
    backbone: str = "paper"
    width: int = 1024
    layers_per_block: int = 2
    filter_widths: tuple[int, ...] = (3, 3, 3, 3, 3)
    is_causal: bool = False
    frame_step: int = 1
    dropout: float = 0.25
    network_input: str = "rays"
    initializer: str = "he_normal"
    output_stddev: float = 0.002
    uncertainty: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        config_rules.one_of("recipe", self.recipe, RECIPES)
        config_rules.one_of("backbone", self.backbone, BACKBONES)
        config_rules.one_of("network_input", self.network_input, NETWORK_INPUTS)
        config_rules.one_of("initializer", self.initializer, INITIALIZERS)
        config_rules.at_least("output_stddev", self.output_stddev, 0)
        config_rules.at_least("width", self.width, 1)
        config_rules.at_least("layers_per_block", self.layers_per_block, 1)
        config_rules.filter_widths("filter_widths", self.filter_widths)
        config_rules.at_least("frame_step", self.frame_step, 1)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must lie in [0, 1). Received: {self.dropout}.")
        if self.is_temporal and self.network_input != "rays":
            rule = f"`network_input` must be 'rays' where the backbone is {self.backbone!r}"
            raise ValueError(f"{rule}. Received: {self.network_input!r}.")

        if self.is_temporal and self.uncertainty:
            rule = f"`uncertainty` must be False where the backbone is {self.backbone!r}"
            raise ValueError(f"{rule}. Received: True.")

    @property
    def is_temporal(self) -> bool:
        """Whether the backbone sees windows of frames."""
        return self.backbone == TEMPORAL


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageConfig(config_rules.Json):
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

    num_epochs: int
    batch_size: int = 1024
    learning_rate: float = 1e-3
    decay_rate: float = 0.1
    decay_every: int = 0
    clip_norm: float = 1.0
    weight_averaging: float = 0.0
    patience: int = 0
    strategy: str = "none"
    precision: str = "float32"
    resident_gb: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        config_rules.one_of("strategy", self.strategy, STRATEGIES)
        config_rules.one_of("precision", self.precision, PRECISIONS)
        config_rules.at_least("num_epochs", self.num_epochs, 0)
        config_rules.at_least("batch_size", self.batch_size, 2)
        config_rules.at_least("decay_every", self.decay_every, 0)
        config_rules.at_least("clip_norm", self.clip_norm, 0)
        config_rules.at_least("patience", self.patience, 0)
        config_rules.at_least("resident_gb", self.resident_gb, 0)
        if not self.learning_rate > 0:
            raise ValueError(f"`learning_rate` must be positive. Received: {self.learning_rate}.")
        if not 0 < self.decay_rate <= 1:
            raise ValueError(f"`decay_rate` must lie in (0, 1]. Received: {self.decay_rate}.")
        if not 0 <= self.weight_averaging < 1:
            raise ValueError(
                f"`weight_averaging` must lie in [0, 1). Received: {self.weight_averaging}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainConfig(StageConfig):
    """The first stage, on view pairs: eq. (6), or what `multi_view_lifter.Recipe` says instead."""

    num_epochs: int = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneConfig(StageConfig, finetune_switches.FinetuneSwitches):
    """The second stage, on eq. (7), with the switches of `FinetuneSwitches`.

    Attributes:
        views: What a lifted pose is compared with: one other view, `"pair"`, as in the paper, or
            `"all"` views of its instant, in recipe `solved_root` alone. A batch holds as many pairs
            or instants; of a pair both views are lifted, of an instant one.
        transform_weight: λ; set per dataset in the paper, to values it does not give.
        confidence_weighting: Whose confidence weights an error in the other view: `"source"`,
            as eq. (5) is printed, `"target"`, `"product"` or `"none"`.
        distance: `"norm"` or `"squared_norm"`; the paper's figures cannot tell which.
    """

    num_epochs: int = 300
    decay_every: int = 100
    views: str = "pair"
    transform_weight: float = 1.0
    confidence_weighting: str = "source"
    distance: str = "norm"

    def __post_init__(self) -> None:
        super().__post_init__()
        config_rules.one_of("views", self.views, VIEWS)
        config_rules.at_least("transform_weight", self.transform_weight, 0)
        config_rules.one_of(
            "confidence_weighting", self.confidence_weighting, CONFIDENCE_WEIGHTINGS
        )
        config_rules.one_of("distance", self.distance, DISTANCES)
        self.check_switches(self.views)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(config_rules.Json):
    """Where sequences come from and what records are made of them.

    Attributes:
        source: A name of `sources.SOURCES`.
        source_options: That source's own arguments as JSON, without its folder.
        split: A name of `splits.SPLITS`.
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
    source_options: str = "{}"
    split: str = "blocks"
    split_options: str = "{}"
    stride: int = 1
    test_stride: int = 1
    min_joints: int = 8
    min_confidence: float = 0.3
    num_virtual_views: int = 0
    virtual_points: str = "triangulated"
    virtual_elevation_margin: float = 0.09
    pairs_per_instant: int = 0
    max_lost_share: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        config_rules.at_least("stride", self.stride, 1)
        config_rules.at_least("test_stride", self.test_stride, 1)
        config_rules.at_least("min_joints", self.min_joints, 1)
        config_rules.at_least("num_virtual_views", self.num_virtual_views, 0)
        config_rules.one_of("virtual_points", self.virtual_points, VIRTUAL_POINTS)
        config_rules.at_least("virtual_elevation_margin", self.virtual_elevation_margin, 0)
        config_rules.at_least("pairs_per_instant", self.pairs_per_instant, 0)
        for name in ("min_confidence", "max_lost_share"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"`{name}` must lie in [0, 1]. Received: {share}.")
