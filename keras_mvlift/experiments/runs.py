"""Runs the cells of a plan that are not finished yet, one after the other."""

import collections
import dataclasses
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import tqdm

from keras_mvlift.experiments import cells, methods, origins, profiles, tables, variants
from keras_mvlift.experiments import data as training_data

Found = dict[str, dict[int, dict[str, Any]]]
"""Digest of a variant to seed to record, which has its `digest` beside it."""

# Data sets kept in memory; cells are sorted by theirs.
_NUM_KEPT = 2


@dataclasses.dataclass(frozen=True)
class Experiments:
    """What is asked for, and where what was measured is kept.

    Args:
        profile: The budget.
        origin: The data at hand.
        chosen: The tables whose rows to run.
        seeds: A run of every row for each.
        folder: Keeps the cells.
        known: The tables of which finished cells are shown, whoever asked for them; without any,
            those that are chosen.
    """

    profile: profiles.Profile
    origin: origins.Origin
    chosen: Sequence[tables.Table]
    seeds: Sequence[int]
    folder: pathlib.Path
    known: Sequence[tables.Table] = ()

    def __post_init__(self) -> None:
        if not self.chosen or not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                "`chosen` and `seeds` must not be empty, and name each seed once. "
                f"Received: {len(self.chosen)} tables and seeds={list(self.seeds)}."
            )
        described = self.origin.describe()
        store = cells.CellStore(self.folder / "cells")
        object.__setattr__(self, "description", described)
        object.__setattr__(self, "store", store)

    description: dict[str, Any] = dataclasses.field(init=False)
    store: cells.CellStore = dataclasses.field(init=False)

    def rows_of(self, table: tables.Table) -> list[tables.Row]:
        """Returns the rows of a table that the profile has."""
        return [row for row in table.rows if row.is_quick or not self.profile.is_quick]

    def cell(self, row: tables.Row, seed: int) -> variants.Cell:
        """Returns what a row and a seed stand for."""
        return variants.Cell(variant=row.variant, budget=self.profile.budget, seed=seed)

    def digest(self, cell: variants.Cell) -> str:
        """Returns the name of a cell's files: of its settings, the data and the code."""
        about = [dataclasses.asdict(cell), self.description, cells.code_digest()]
        return variants.digest(about)

    def found(self) -> Found:
        """Reads the cells of this budget, these data and this code that lie in the folder."""
        budget = variants.digest(self.profile.budget)
        found: Found = {}
        for digest in self.store.digests():
            record = self.store.read(digest) or {}
            settings = record.get("settings", {})
            about = [settings, self.description, cells.code_digest()]
            if digest == variants.digest(about) and variants.digest(settings["budget"]) == budget:
                by_seed = found.setdefault(variants.digest(settings["variant"]), {})
                by_seed[settings["seed"]] = {"digest": digest, **record}
        return found

    def data_digest(self, settings: variants.DataSettings) -> str:
        """Returns the name of the file that keeps a test set's true poses."""
        about = [dataclasses.asdict(settings), self.description, cells.code_digest()]
        return f"truth_{variants.digest(about)}"

    def to_do(self) -> list[variants.Cell]:
        """Returns the cells that are not finished; those of the same data follow each other."""
        every = {
            self.digest(cell): cell
            for table in self.chosen
            for row in self.rows_of(table)
            for cell in (self.cell(row, seed) for seed in self.seeds)
        }
        left = [cell for digest, cell in every.items() if not self.store.is_finished(digest)]
        order = list(dict.fromkeys(cell.variant.data for cell in left))
        return sorted(left, key=lambda cell: order.index(cell.variant.data))

    def run(self) -> None:
        """Runs what is to do; a cell that fails says so in its file and is tried again next time.

        On a terminal a bar shows how far it is.
        """
        loaded: collections.OrderedDict[variants.DataSettings, training_data.TrainingData]
        loaded = collections.OrderedDict()
        # Cells cost alike: the mean of all says more of the time left than the last ones.
        cells_left = self.to_do()
        bar = tqdm.tqdm(cells_left, desc="experiments", unit="cell", smoothing=0, disable=None)
        for cell in bar:
            digest = self.digest(cell)
            folder, name = self.folder / "checkpoints" / digest, self._name(cell)
            watch = methods.Watch(
                folder,
                lambda text, name=name: bar.set_postfix_str(f"{name}: {text}"),  # type: ignore[misc]
            )
            watch.show("data")
            record, poses = cells.run(
                cell,
                lambda cell=cell: self._data(cell, loaded),  # type: ignore[misc]
                watch,
            )
            if poses is not None:
                self.store.write_poses(digest, pose=poses)
            data = loaded.get(cell.variant.data)
            about = {
                "format": 1,
                "settings": dataclasses.asdict(cell),
                "data": data and data.about,
                "truth": self.data_digest(cell.variant.data),
                "code": cells.code_digest(),
            }
            self.store.write(digest, about | record)
            if record["status"] in cells.FINISHED:
                shutil.rmtree(folder, ignore_errors=True)

    def _name(self, cell: variants.Cell) -> str:
        """Returns the name of the first row that a cell is of."""
        every = (row for table in self.chosen for row in table.rows)
        return next(row.name for row in every if row.variant == cell.variant)

    def _data(
        self,
        cell: variants.Cell,
        loaded: "collections.OrderedDict[variants.DataSettings, training_data.TrainingData]",
    ) -> training_data.TrainingData:
        settings = cell.variant.data
        if settings not in loaded:
            while len(loaded) >= _NUM_KEPT:
                loaded.popitem(last=False)
            data = training_data.TrainingData(self.origin, settings)
            test = data.test
            self.store.write_poses(
                self.data_digest(settings),
                pose=test.reference_pose,
                clip=test.clip,
                camera=test.camera,
                frame=test.frame,
            )
            loaded[settings] = data
        return loaded[settings]
