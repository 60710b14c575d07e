"""What a stage of training takes its batches from: record files, or arrays in memory."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import distinct_cameras, views
from keras_mvlift.training import batches, multi_view_lifter

_GIGABYTE = 1e9


class StageData(Protocol):
    """What `stages.run` needs to know of its data; `stages.Files` and `Arrays` are such."""

    @property
    def checkpoints(self) -> pathlib.Path:
        """A folder that outlives a killed run; this stage and settings alone use it."""

    @property
    def logs(self) -> pathlib.Path | None:
        """A folder for TensorBoard and the history; None for neither."""

    def check(self, config: configs.StageConfig, name: str) -> None:
        """Raises a ValueError if the stage asks for what these data do not have."""

    def steps_per_epoch(self, config: configs.StageConfig, name: str) -> int:
        """Returns the number of steps in an epoch."""

    def num_rows(self, config: configs.StageConfig) -> int:
        """Returns the rows of a batch, which replicas share."""

    def batches(
        self, config: configs.StageConfig, first_epoch: int, keep: multi_view_lifter.Keep | None
    ) -> tf.data.Dataset:
        """Returns batches without end, the same from an epoch on whether or not it is the first."""

    def held_out_batches(self, config: configs.StageConfig) -> tf.data.Dataset | None:
        """Returns what the loss is measured on after each epoch; None for nothing."""

    def held_out_views(self) -> views.View | None:
        """Returns all views of held-out instants, fields `[T, V, ...]`; None without any."""

    def known_cameras(self) -> distinct_cameras.DistinctCameras:
        """Returns the cameras that stay where they are, where some are trained along."""


class Source(Protocol):
    """Arrays from which batches are drawn, pass after pass, in the order of seed and pass."""

    def num_rows(self, config: configs.StageConfig) -> int:
        """Returns the rows of a batch."""

    def batches(
        self, config: configs.StageConfig, first_batch: int, keep: multi_view_lifter.Keep | None
    ) -> tf.data.Dataset:
        """Returns batches without end, from one on."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs of views; a pass has each pair once.

    Args:
        pairs: Which views make a pair, and the views.
        look_up: From rows `[B, 2]` to what the model takes, where that is more than the views.
    """

    pairs: batches.Pairs
    look_up: Callable[[tf.Tensor], Any] | None = None

    def num_rows(self, config: configs.StageConfig) -> int:
        """Returns the pairs of a batch."""
        return config.batch_size

    def batches(
        self, config: configs.StageConfig, first_batch: int, keep: multi_view_lifter.Keep | None
    ) -> tf.data.Dataset:
        """Returns batches of `ViewPair`, or of rows where the views are kept by the model.

        Raises:
            ValueError: If there is less than a batch.
        """
        in_pass = max(len(self.pairs.rows) // config.batch_size, 1)
        first_pass, passed = divmod(first_batch, in_pass)
        order: dict[str, Any] = {"seed": config.seed, "first_epoch": first_pass}
        rows = batches.load_pairs(self.pairs, config.batch_size, **order).skip(passed)
        if self.look_up is not None:
            return rows.map(self.look_up, tf.data.AUTOTUNE).prefetch(2)
        if keep is None or self.pairs.num_bytes > config.resident_gb * _GIGABYTE:
            return batches.look_up(self.pairs, rows)
        keep(self.pairs.views)
        return rows


@dataclasses.dataclass(frozen=True)
class Rows:
    """Instants, single views, labeled ones: arrays that all have `N` rows.

    Args:
        values: A structure of arrays `[N, ...]`; a batch is the same of `[B, ...]`.
        num_pairs: Pairs that make a pass, of as many rows each; without, all rows make one.
        rows_per_pair: Of a pair two views are lifted, and so as many rows stand for it.
    """

    values: Any
    num_pairs: int | None = None
    rows_per_pair: int = 2

    def num_rows(self, config: configs.StageConfig) -> int:
        """Returns the rows of a batch."""
        return self.rows_per_pair * config.batch_size

    def batches(
        self,
        config: configs.StageConfig,
        first_batch: int,
        keep: multi_view_lifter.Keep | None = None,
    ) -> tf.data.Dataset:
        """Returns batches; there may be fewer rows than in one."""
        del keep
        num_pairs = self.num_pairs
        if num_pairs is None:
            num_pairs = batches.count_instants(self.values) // self.rows_per_pair
        in_pass = max(num_pairs // config.batch_size, 1)
        first_pass, passed = divmod(first_batch, in_pass)
        drawn = batches.load_instants(
            self.values,
            self.num_rows(config),
            num_batches=in_pass,
            seed=config.seed,
            first_epoch=first_pass,
        )
        return drawn.skip(passed)


@dataclasses.dataclass(frozen=True)
class Beside:
    """A batch of labeled views beside each batch to train on without labels.

    Args:
        unlabeled: What the lifter trains on by itself.
        labeled: `peers.Labels`; they come up as often as need be.
    """

    unlabeled: Source
    labeled: Rows

    def num_rows(self, config: configs.StageConfig) -> int:
        """Returns the rows of a batch without labels."""
        return self.unlabeled.num_rows(config)

    def batches(
        self, config: configs.StageConfig, first_batch: int, keep: multi_view_lifter.Keep | None
    ) -> tf.data.Dataset:
        """Returns pairs of batches."""
        sources = (self.unlabeled, self.labeled)
        return tf.data.Dataset.zip(tuple(s.batches(config, first_batch, keep) for s in sources))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrays:
    """Data in memory, of which nothing is held out.

    Args:
        source: What batches are drawn from.
        steps: Steps per epoch, however much there is.
        checkpoints: As of `StageData`.
        logs: As of `StageData`.
        seen: All views of each instant, fields `[N, V, ...]`, where cameras are trained along.
    """

    source: Source
    steps: int
    checkpoints: pathlib.Path
    logs: pathlib.Path | None = None
    seen: views.View | None = None

    def check(self, config: configs.StageConfig, name: str) -> None:
        """Refuses what needs held-out data.

        Raises:
            ValueError: If the stage has `patience`.
        """
        if config.patience:
            rule = "`patience` must be 0 where nothing is held out"
            raise ValueError(f"{name}: {rule}. Received: {config.patience}.")

    def steps_per_epoch(self, config: configs.StageConfig, name: str) -> int:
        """Returns the steps that were chosen."""
        del config, name
        return self.steps

    def num_rows(self, config: configs.StageConfig) -> int:
        """Returns the rows of a batch."""
        return self.source.num_rows(config)

    def batches(
        self, config: configs.StageConfig, first_epoch: int, keep: multi_view_lifter.Keep | None
    ) -> tf.data.Dataset:
        """Returns batches without end, from an epoch on."""
        return self.source.batches(config, first_epoch * self.steps, keep)

    def held_out_batches(self, config: configs.StageConfig) -> None:
        """Returns nothing."""

    def held_out_views(self) -> None:
        """Returns nothing."""

    def known_cameras(self) -> distinct_cameras.DistinctCameras:
        """Finds the cameras of the views."""
        return distinct_cameras.collect([] if self.seen is None else [self.seen])
