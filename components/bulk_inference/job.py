"""Lifts files of stored views with Beam, into a folder that is there whole or not at all."""

import dataclasses
import functools
import glob
import json
import os
import shutil
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.utils import shared

from components.bulk_inference import lift_file
from components.example_gen import files
from keras_mvlift import configs, errors, inference, trained_models

SUMMARY = "_lifted.json"
"""Beside the poses: how many, of which files. Readers of folders leave such names out."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BulkLift(configs.Checked):
    """What is to be lifted. All workers must reach the input and the output."""

    model: str  # What `inference.load_model` takes; it must lift single frames.
    # Patterns of files: Parquet ends in `.parquet`, compressed TFRecords in `.gz`, and any other
    # file is TFRecords.
    inputs: tuple[str, ...]
    output: str  # The folder to make.
    form: Annotated[str, configs.one_of(*lift_file.FORMATS)] = "parquet"
    # Of the records, and of the files, that may turn out unusable before the run fails.
    max_lost_share: configs.Share = 0.05
    batch_size: configs.Positive = 4096  # Views that are lifted at once.

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, paths in (("inputs", self.inputs), ("output", (self.output,))):
            if any("://" in path for path in paths):
                rule = "be paths of files; mount a bucket to reach it by one"
                raise errors.ArgumentError(name, rule, ", ".join(paths))


def run(bulk: BulkLift, beam_pipeline_args: Sequence[str] = ()) -> dict[str, Any]:
    """Lifts the files, a worker each, into one file of poses each; returns what `SUMMARY` holds.

    Args:
        bulk: What is lifted.
        beam_pipeline_args: Arguments of Beam; none are its DirectRunner in this process.

    Raises:
        FileNotFoundError: If no file is of a pattern, or there is no such model.
        FileExistsError: If the output is there already.
        ValueError: If the model does not lift single frames, or too much was lost.
    """
    output = os.path.abspath(bulk.output)
    if os.path.lexists(output):
        raise FileExistsError(f"{output}: `output` must not exist. Received: it does.")
    paths, handle = _files(bulk.inputs), shared.Shared()
    lifter = handle.acquire(functools.partial(inference.load_model, bulk.model))
    model = _model(bulk.model, lifter)
    # Of this run alone: an earlier one may have been killed, or be still at it.
    work = f"{output}.partial-{uuid.uuid4().hex[:8]}"
    os.makedirs(os.path.join(work, files.PARTIAL))
    try:
        lift = lift_file.LiftFile(model, handle, work, bulk.form, bulk.batch_size)
        options = pipeline_options.PipelineOptions(list(beam_pipeline_args))
        with beam.Pipeline(options=options) as pipeline:
            files.run_jobs(pipeline, paths, lift, work)
        outcomes = [lift_file.Outcome(*fields) for fields in files.read_outcomes(work)]
        if [outcome.number for outcome in outcomes] != list(range(len(paths))):
            raise RuntimeError(f"{len(paths)} files must come back. Received: {len(outcomes)}.")
        summary = _summary(bulk, outcomes, output, work)
        files.write_text(work, SUMMARY, json.dumps(summary, indent=2, sort_keys=True))
        files.clear(work, [])
        os.rename(work, output)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return summary


def _files(patterns: Sequence[str]) -> list[str]:
    found = set()
    for pattern in patterns:
        paths = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
        if not paths:
            raise FileNotFoundError(f"{pattern}: `inputs` must match files. Received: none.")
        found |= set(map(os.path.abspath, paths))
    return sorted(found)


def _model(given: str, lifter: inference.Lifter) -> str:
    """Returns what workers load: the version that is the newest now."""
    if isinstance(lifter, inference.ClipLifter):
        received = f"{lifter.path}, which lifts a frame by those around it"
        raise errors.ArgumentError("model", "lift single frames", received)
    is_name = given in trained_models.shipped_names()
    if is_name and lifter.path == trained_models.shipped_folder(given):
        # It lies elsewhere where workers have it.
        return given
    return os.path.abspath(lifter.path)


def _summary(
    bulk: BulkLift, outcomes: list[lift_file.Outcome], output: str, work: str
) -> dict[str, Any]:
    lost_files = [outcome for outcome in outcomes if outcome.output is None]
    num_poses = sum(outcome.num_poses for outcome in outcomes)
    num_lost = sum(outcome.num_lost for outcome in outcomes)
    for kind, lost, total, losers in (
        ("files", len(lost_files), len(outcomes), lost_files),
        ("records", num_lost, num_poses + num_lost, outcomes),
    ):
        told = [lift_file.sentence(letter) for each in losers for letter in each.first_lost]
        keep = functools.partial(_keep_letters, work, output)
        files.hold_to_share(lost, total, bulk.max_lost_share, kind, told, keep)
    keys = {"input": "input", "output": "output", "poses": "num_poses", "lost_records": "num_lost"}
    return {
        "poses": num_poses,
        "lost_records": num_lost,
        "lost_files": len(lost_files),
        "files": [{key: getattr(each, keys[key]) for key in keys} for each in outcomes],
    }


def _keep_letters(work: str, output: str) -> str:
    """Moves the lists to a folder beside the output, in the place of those of an earlier run."""
    kept = f"{output}.dead_letters"
    shutil.rmtree(kept, ignore_errors=True)
    os.makedirs(kept)
    for path in glob.glob(os.path.join(glob.escape(work), "_dead_letters-*")):
        os.rename(path, os.path.join(kept, os.path.basename(path)))
    return kept
