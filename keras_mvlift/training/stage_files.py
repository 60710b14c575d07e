"""Records that a stage of training reads, and where it writes."""

import pathlib
from typing import Any, NamedTuple

import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import distinct_cameras, view_pairs, view_windows, views
from keras_mvlift.training import (
    held_out_records,
    instant_batches,
    instant_switches,
    pair_batches,
    resident_lifter,
)

_GIGABYTE = 1e9


class Files(NamedTuple):
    """Where a stage reads and writes; one kind of `stage_data.StageData`.

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
        return self.num_pairs if self.num_views else view_pairs.count(self.train)

    def check(self, config: configs.StageConfig, name: str) -> None:
        """Refuses what networks that see windows of frames cannot have.

        Raises:
            ValueError: If whole instants or `patience` are asked for with windows.
        """
        # Whole instants, and the score that ends a stage, are read frame by frame.
        for field, value, rule in (
            ("views", self.num_views and "all", "be 'pair'"),
            ("patience", config.patience, "be 0"),
        ):
            if self.windows and value:
                whose = "for networks that see windows of frames"
                raise ValueError(f"{name}: `{field}` must {rule} {whose}. Received: {value!r}.")

    def steps_per_epoch(self, config: configs.StageConfig, name: str) -> int:
        """Gives how many batches the pairs fill.

        Raises:
            ValueError: If they fill none.
        """
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
        keep: resident_lifter.Keep | None = None,
    ) -> tf.data.Dataset:
        """Gives what there is to train on, in a random order, without end.

        Args:
            config: The stage's settings.
            first_epoch: The epoch to begin with.
            keep: Takes the views of pairs that fit in memory; batches are then of their rows.
        """
        order: dict[str, Any] = {"seed": config.seed, "first_epoch": first_epoch}
        if self.windows:
            return view_windows.load(self.train, config.batch_size, self.windows, **order)
        if not self.num_views:
            return self._pairs(config, order, keep)
        order["num_batches"] = self.num_pairs // config.batch_size
        return instant_batches.load(
            self._instants(self.train, config), self.num_rows(config), **order
        )

    def num_rows(self, config: configs.StageConfig) -> int:
        """Gives the pairs or instants of a batch: of a pair two views are lifted, of those one."""
        return 2 * config.batch_size if self.num_views else config.batch_size

    def held_out_batches(self, config: configs.StageConfig) -> tf.data.Dataset | None:
        """Gives what the loss is measured on; None where nothing is held out."""
        if not self.held_out:
            return None
        if self.windows:
            return view_windows.load_once(self.held_out, config.batch_size, self.windows)
        if not self.num_views:
            kept = pair_batches.read(self.held_out, config.resident_gb * _GIGABYTE)
            if kept is None:
                return view_pairs.load_once(self.held_out, config.batch_size)
            return pair_batches.look_up(kept, pair_batches.load_once(kept, config.batch_size))
        instants = self._instants(self.held_out, config)
        return instant_batches.load_once(instants, self.num_rows(config))

    def held_out_views(self) -> views.View | None:
        """Reads the held-out instants to score them without labels; None without any."""
        return held_out_records.read(self.held_out, self.num_views) if self.held_out else None

    def known_cameras(self) -> distinct_cameras.DistinctCameras:
        """Finds the cameras that come back from instant to instant."""
        return distinct_cameras.of_records(self.train, self.num_views)

    def _pairs(
        self, config: configs.StageConfig, order: dict[str, Any], keep: resident_lifter.Keep | None
    ) -> tf.data.Dataset:
        kept = pair_batches.read(self.train, config.resident_gb * _GIGABYTE)
        if kept is None:
            return view_pairs.load(self.train, config.batch_size, **order)
        rows = pair_batches.load(kept, config.batch_size, **order)
        if keep is None:
            return pair_batches.look_up(kept, rows)
        keep(kept.views)
        return rows

    def _instants(self, files: list[str], config: Any) -> instant_batches.Seen:
        # Cameras that are trained along change what the views agree on.
        needs_agreement = instant_switches.of_config(config).needs_agreement
        needs_agreement &= not config.refine_extrinsics
        return instant_batches.read(files, self.num_views, needs_agreement)
