"""What a stage of training takes its batches from: record files, or arrays in memory."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import tfrecords, view_windows, views
from keras_mvlift.training import batches, held_out, multi_view_lifter, objectives

_GIGABYTE = 1e9


class StageData(Protocol):
    """What `stages.run` needs to know of its data; `Files` and `Arrays` are such."""

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

    def shown_views(self) -> views.View | None:
        """Returns views, as those held out, to show what is learned of them; None for none."""


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

    `look_up` is from rows `[B, 2]` to what the model takes, where that is more than the views.
    """

    pairs: batches.Pairs
    look_up: Callable[[tf.Tensor], Any] | None = None

    def num_rows(self, config: configs.StageConfig) -> int:
        """Returns the pairs of a batch."""
        return config.batch_size

    def batches(
        self, config: configs.StageConfig, first_batch: int, keep: multi_view_lifter.Keep | None
    ) -> tf.data.Dataset:
        """Returns batches of `ViewPair`, or of rows where the views are kept by the model."""
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrays:
    """Data in memory, nothing of it held out, in epochs of so many steps, however much it is."""

    source: Source
    steps: int
    checkpoints: pathlib.Path
    logs: pathlib.Path | None = None

    def check(self, config: configs.StageConfig, name: str) -> None:
        """Refuses `patience`, which needs held-out data, with a ValueError."""
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

    def shown_views(self) -> None:
        """Returns nothing."""


def needs_agreement(config: configs.StageConfig) -> bool:
    """Tells whether a stage asks what the views of instants agree on, found before training."""
    return isinstance(config, configs.FinetuneConfig) and config.triangulation_weight > 0


class Files(NamedTuple):
    """Record files, and where a stage writes; one kind of `StageData`.

    Attributes:
        train: Record files of pairs to train on.
        held_out: Record files of pairs to measure the loss on; empty for none.
        checkpoints: A folder that outlives a killed run; this stage and settings alone use it.
        logs: A folder for TensorBoard and the history.
        num_views: Most views of an instant, where the records are instants; 0 where they are pairs.
        num_pairs: Pairs that the instants' views make, where the records are instants: an epoch
            lifts as many views of them as of pairs.
        windows: What the networks see of a pair's clip; None for the two frames alone.
    """

    train: list[str]
    held_out: list[str]
    checkpoints: pathlib.Path
    logs: pathlib.Path
    num_views: int = 0
    num_pairs: int = 0
    windows: view_windows.Windows | None = None

    def count_pairs(self) -> int:
        """Counts what there is to train on."""
        if self.windows:
            return view_windows.count(self.train)
        return self.num_pairs if self.num_views else tfrecords.count(self.train)

    def check(self, config: configs.StageConfig, name: str) -> None:
        """Refuses whole instants and `patience` for networks of windows, with a ValueError."""
        # Whole instants, and the score that ends a stage, are read frame by frame.
        for field, value, rule in (
            ("views", self.num_views and "all", "be 'pair'"),
            ("patience", config.patience, "be 0"),
        ):
            if self.windows and value:
                whose = "for networks that see windows of frames"
                raise ValueError(f"{name}: `{field}` must {rule} {whose}. Received: {value!r}.")

    def steps_per_epoch(self, config: configs.StageConfig, name: str) -> int:
        """Returns how many batches the pairs fill; a ValueError if they fill none."""
        num_pairs = self.count_pairs()
        steps = num_pairs // config.batch_size
        if not steps:
            raise ValueError(
                f"{name}: `batch_size` must be at most the number of pairs, {num_pairs}. "
                f"Received: {config.batch_size}."
            )
        return steps

    def batches(
        self,
        config: configs.StageConfig,
        first_epoch: int,
        keep: multi_view_lifter.Keep | None = None,
    ) -> tf.data.Dataset:
        """Returns what there is to train on, in a random order, without end.

        `keep` takes the views of pairs that fit in memory; batches are then of their rows.
        """
        order: dict[str, Any] = {"seed": config.seed, "first_epoch": first_epoch}
        if self.windows:
            return view_windows.load(self.train, config.batch_size, self.windows, **order)
        if self.num_views:
            first_batch = first_epoch * (self.num_pairs // config.batch_size)
            instants = self._instants(self.train, config)
            return Rows(instants, self.num_pairs).batches(config, first_batch)
        kept = batches.read_pairs(self.train, config.resident_gb * _GIGABYTE)
        if kept is None:
            return tfrecords.load(self.train, config.batch_size, **order)
        first_batch = first_epoch * (len(kept.rows) // config.batch_size)
        return Pairs(kept).batches(config, first_batch, keep)

    def num_rows(self, config: configs.StageConfig) -> int:
        """Returns the pairs or instants of a batch: two views of a pair are lifted."""
        return 2 * config.batch_size if self.num_views else config.batch_size

    def held_out_batches(self, config: configs.StageConfig) -> tf.data.Dataset | None:
        """Returns what the loss is measured on; None where nothing is held out."""
        if not self.held_out:
            return None
        if self.windows:
            return view_windows.load_once(self.held_out, config.batch_size, self.windows)
        if not self.num_views:
            kept = batches.read_pairs(self.held_out, config.resident_gb * _GIGABYTE)
            if kept is None:
                return tfrecords.load_once(self.held_out, config.batch_size)
            return batches.look_up(kept, batches.load_pairs_once(kept, config.batch_size))
        instants = self._instants(self.held_out, config)
        return batches.load_instants_once(instants, self.num_rows(config))

    def held_out_views(self) -> views.View | None:
        """Reads the held-out instants to score them without labels; None without any."""
        return held_out.read_records(self.held_out, self.num_views) if self.held_out else None

    def shown_views(self) -> views.View | None:
        """Reads some held-out instants, or where there are none some to train on."""
        if self.windows:
            # Their networks lift no frame alone.
            return None
        return held_out.read_shown(self.held_out or self.train, self.num_views)

    def _instants(
        self, files: list[str], config: configs.StageConfig
    ) -> views.View | objectives.Instants:
        return batches.read_instants(files, self.num_views, needs_agreement(config))
