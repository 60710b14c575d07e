"""Every choice of a run as a frozen dataclass, checked where it is made.

What the paper leaves open is one field here; its docstring says what is known. All of them go
to JSON and back, which is how they travel through a pipeline.
"""

import dataclasses

from keras_mvlift import config_rules

RECIPES = ("paper", "ray_root", "solved_root")
BACKBONES = ("paper", "res_linear")
CONFIDENCE_WEIGHTINGS = ("source", "target", "product", "none")
DISTANCES = ("norm", "squared_norm")
NETWORK_INPUTS = ("rays", "screen")
INITIALIZERS = ("he_normal", "he_uniform", "glorot_normal", "glorot_uniform")
VIEWS = ("pair", "all")
VIRTUAL_POINTS = ("triangulated", "reference")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(config_rules.Json):
    """The two networks and how they are joined.

    Attributes:
        recipe: `"paper"`, `"ray_root"` or `"solved_root"`; docs/method.md compares them.
        backbone: `"paper"` (four residual blocks) or `"res_linear"` (two).
        width: Units of each dense layer; the paper's 1024.
        layers_per_block: Dense layers of a block. The paper says two for its own network.
        dropout: Share of units dropped. Unknown in the paper; Martinez et al. have 0.5.
        network_input: `"rays"` (camera-normalized) or `"screen"` (pixels scaled alike for all
            cameras). Unknown in the paper.
        initializer: Keras' name of the dense layers' initialization. Unknown in the paper.
        output_stddev: Standard deviation of the output layers' weights at the start. Unknown in
            the paper; networks that start meters away from any pose converge badly.
        seed: Of the initial weights and the dropout masks.
    """

    recipe: str = "solved_root"
    backbone: str = "paper"
    width: int = 1024
    layers_per_block: int = 2
    dropout: float = 0.25
    network_input: str = "rays"
    initializer: str = "he_normal"
    output_stddev: float = 0.002
    seed: int = 0

    def __post_init__(self) -> None:
        config_rules.one_of("recipe", self.recipe, RECIPES)
        config_rules.one_of("backbone", self.backbone, BACKBONES)
        config_rules.one_of("network_input", self.network_input, NETWORK_INPUTS)
        config_rules.one_of("initializer", self.initializer, INITIALIZERS)
        config_rules.at_least("output_stddev", self.output_stddev, 0)
        config_rules.at_least("width", self.width, 1)
        config_rules.at_least("layers_per_block", self.layers_per_block, 1)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must lie in [0, 1). Received: {self.dropout}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageConfig(config_rules.Json):
    """What both training stages choose.

    Attributes:
        num_epochs: Passes over the pairs.
        batch_size: Pairs per step. Unknown in the paper.
        learning_rate: Of Adam at the start; the paper's 1e-3.
        decay_rate: Factor on the learning rate after each `decay_every` epochs; the paper's 0.1.
        decay_every: Epochs between decays; 0 for a constant rate. The paper's 100 in fine-tuning.
        clip_norm: Global norm to which gradients are clipped; 0 for none. Unknown in the paper.
        weight_averaging: Decay of the moving average of the weights that is kept at the end; 0
            for none, as in the paper.
        seed: Of the order of the pairs.
    """

    num_epochs: int
    batch_size: int = 1024
    learning_rate: float = 1e-3
    decay_rate: float = 0.1
    decay_every: int = 0
    clip_norm: float = 1.0
    weight_averaging: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        config_rules.at_least("num_epochs", self.num_epochs, 0)
        config_rules.at_least("batch_size", self.batch_size, 2)
        config_rules.at_least("decay_every", self.decay_every, 0)
        config_rules.at_least("clip_norm", self.clip_norm, 0)
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
    """The first stage, on eq. (6). A recipe that needs none of it skips it."""

    num_epochs: int = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneConfig(StageConfig):
    """The second stage, on eq. (7).

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
