"""What a stage of training takes its batches from: record files, or arrays in memory."""

import abc
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import tfrecords, view_windows, views
from keras_mvlift.training import batches, held_out

_GIGABYTE = 1e9

Batches: TypeAlias = tf.data.Dataset
Keep = Callable[[np.ndarray], None] | None
"""Takes the views of pairs to where a model is trained, as `MultiViewLifter.keep` does, if any."""


class Source(Protocol):
    """Arrays from which batches are drawn, pass after pass, in the order of seed and pass."""

    def batches(self, config: configs.StageConfig, first_batch: int, keep: Keep = None) -> Batches:
        """Returns batches without end, from one on; `keep` may be given the views of pairs."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs of views; a pass has each pair once."""

    pairs: batches.Pairs
    # From rows [B, 2] to what the model takes, where that is more than the views.
    look_up: Callable[[tf.Tensor], Any] | None = None

    def batches(self, config: configs.StageConfig, first_batch: int, keep: Keep = None) -> Batches:
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

    values: Any  # A structure of arrays [N, ...]; a batch is the same of [B, ...].
    num_pairs: int | None = None  # That make a pass; without, all rows make one.
    rows_per_pair: int = 2  # Of a pair two views are lifted, and so as many rows stand for it.

    def batches(self, config: configs.StageConfig, first_batch: int, keep: Keep = None) -> Batches:
        num_pairs = self.num_pairs
        if num_pairs is None:
            num_pairs = batches.count_instants(self.values) // self.rows_per_pair
        in_pass = max(num_pairs // config.batch_size, 1)
        first_pass, passed = divmod(first_batch, in_pass)
        drawn = batches.load_instants(
            self.values,
            self.rows_per_pair * config.batch_size,
            num_batches=in_pass,
            seed=config.seed,
            first_epoch=first_pass,
        )
        return drawn.skip(passed)


class StageData(abc.ABC):
    """What `stages.run` needs to know of its data, of which nothing may be held out.

    Attributes:
        checkpoints: A folder that outlives a killed run; this stage and settings alone use it.
        logs: A folder for TensorBoard and the history; None for neither.
    """

    checkpoints: pathlib.Path
    logs: pathlib.Path | None

    @abc.abstractmethod
    def steps_per_epoch(self, config: configs.StageConfig, name: str) -> int:
        """Returns the number of steps in an epoch of a stage.

        Raises:
            ValueError: If the stage asks for what these data do not have.
        """

    @abc.abstractmethod
    def batches(self, config: configs.StageConfig, first_epoch: int, keep: Keep = None) -> Batches:
        """Returns batches without end, the same from an epoch on whether or not it is the first.

        `keep` takes the views of pairs that fit in memory; batches are then of their rows.
        """

    def held_out_batches(self, config: configs.StageConfig) -> Batches | None:
        """Returns what the loss is measured on after each epoch; None for nothing."""
        return None

    def held_out_views(self) -> views.View | None:
        """Returns all views of held-out instants, fields `[T, V, ...]`; None without any."""
        return None

    def shown_views(self) -> views.View | None:
        """Returns views, as those held out, to show what is learned of them; None for none."""
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrays(StageData):
    """Data in memory, nothing of it held out, in epochs of so many steps, however much it is."""

    source: Source
    steps: int
    checkpoints: pathlib.Path
    logs: pathlib.Path | None = None

    def steps_per_epoch(self, config: configs.StageConfig, name: str) -> int:
        if config.patience:
            rule = "`patience` must be 0 where nothing is held out"
            raise ValueError(f"{name}: {rule}. Received: {config.patience}.")
        return self.steps

    def batches(self, config: configs.StageConfig, first_epoch: int, keep: Keep = None) -> Batches:
        return self.source.batches(config, first_epoch * self.steps, keep)


def needs_agreement(config: configs.StageConfig) -> bool:
    """Tells whether a stage asks what the views of instants agree on, found before training."""
    return isinstance(config, configs.FinetuneConfig) and config.triangulation_weight > 0


@dataclasses.dataclass(frozen=True)
class Files(StageData):
    """Record files; `checkpoints` and `logs` are those of `StageData`.

    Attributes:
        train: Record files of pairs to train on.
        held_out: Record files of pairs to measure the loss on; empty for none.
        num_views: Most views of an instant, where the records are instants; 0 where they are pairs.
        num_pairs: Pairs that the instants' views make, where the records are instants: an epoch
            lifts as many views of them as of pairs.
        windows: What the networks see of a pair's clip; None for the two frames alone.
    """

    train: list[str]
    held_out: list[str]
    checkpoints: pathlib.Path
    logs: pathlib.Path | None
    num_views: int = 0
    num_pairs: int = 0
    windows: view_windows.Windows | None = None

    def count_pairs(self) -> int:
        if self.windows:
            return view_windows.count(self.train)
        return self.num_pairs if self.num_views else tfrecords.count(self.train)

    def steps_per_epoch(self, config: configs.StageConfig, name: str) -> int:
        # Whole instants, and the score of held-out views, are read frame by frame.
        """Returns how many batches the pairs fill.

        Raises:
            ValueError: If they fill none, or networks of windows are to see whole instants, or to
                be stopped by the score of held-out views: both are read frame by frame.
        """
        num_pairs = self.count_pairs()
        whose = "for networks that see windows of frames"
        is_few, most = num_pairs < config.batch_size, f"be at most the number of pairs, {num_pairs}"
        for field, value, is_wrong, rule in (
            ("views", "all", self.windows and self.num_views, f"be 'pair' {whose}"),
            ("patience", config.patience, self.windows and config.patience, f"be 0 {whose}"),
            ("batch_size", config.batch_size, is_few, most),
        ):
            if is_wrong:
                raise ValueError(f"{name}: `{field}` must {rule}. Received: {value!r}.")
        return num_pairs // config.batch_size

    def batches(self, config: configs.StageConfig, first_epoch: int, keep: Keep = None) -> Batches:
        order: dict[str, Any] = {"seed": config.seed, "first_epoch": first_epoch}
        if self.windows:
            return view_windows.load(self.train, config.batch_size, self.windows, **order)
        source: Source
        if self.num_views:
            instants = batches.read_instants(self.train, self.num_views, needs_agreement(config))
            source, num_pairs = Rows(instants, self.num_pairs), self.num_pairs
        else:
            kept = batches.read_pairs(self.train, config.resident_gb * _GIGABYTE)
            if kept is None:
                return tfrecords.load(self.train, config.batch_size, **order)
            source, num_pairs = Pairs(kept), len(kept.rows)
        return source.batches(config, first_epoch * (num_pairs // config.batch_size), keep)

    def held_out_batches(self, config: configs.StageConfig) -> Batches | None:
        if not self.held_out:
            return None
        if self.windows:
            return view_windows.load_once(self.held_out, config.batch_size, self.windows)
        if self.num_views:
            instants = batches.read_instants(self.held_out, self.num_views, needs_agreement(config))
            return batches.load_once(instants, 2 * config.batch_size)
        kept = batches.read_pairs(self.held_out, config.resident_gb * _GIGABYTE)
        if kept is None:
            return tfrecords.load_once(self.held_out, config.batch_size)
        return batches.look_up(kept, batches.load_once(kept.rows, config.batch_size))

    def held_out_views(self) -> views.View | None:
        return held_out.read_records(self.held_out, self.num_views) if self.held_out else None

    def shown_views(self) -> views.View | None:
        # Networks of windows lift no frame alone.
        files = [] if self.windows else self.held_out or self.train
        return held_out.read_shown(files, self.num_views) if files else None
