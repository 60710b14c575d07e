"""Counts the files that a reader opens to follow a piece of work from its start to its end.

    python scripts/walks.py             all walks: some minutes
    python scripts/walks.py step lift   some of them, with the files' names

A file counts if a function in it was called, its body run; what is called while a module is
imported does not count. TensorFlow's graphs run eagerly, so that a call is a call.
"""

import argparse
import contextlib
import os
import pathlib
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = pathlib.Path(__file__).resolve().parents[1]
PRODUCT = ("keras_mvlift", "components", "pipeline")


class Walk:
    """The functions of the product that were called, by file."""

    def __init__(self) -> None:
        self._codes: set[types.CodeType] = set()
        self._importing = threading.local()

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Follows the calls of all threads that start from here."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    @property
    def files(self) -> dict[str, int]:
        """The number of functions called in each file."""
        counts: dict[str, int] = {}
        for code in self._codes:
            path = pathlib.Path(code.co_filename)
            if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PRODUCT:
                name = str(path.relative_to(ROOT))
                counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))

    def _profile(self, frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name == "<module>":
            self._importing.depth = getattr(self._importing, "depth", 0) + 1
        elif event == "return" and frame.f_code.co_name == "<module>":
            self._importing.depth = max(getattr(self._importing, "depth", 0) - 1, 0)
        elif event == "call" and not getattr(self._importing, "depth", 0):
            self._codes.add(frame.f_code)


def training_step(walk: Walk) -> None:
    """One training step of the default recipe, from its batch to the weights."""
    import tensorflow as tf

    from benchmarks import training_steps

    tf.config.run_functions_eagerly(True)
    run = training_steps.ALL_VIEWS
    lifter = training_steps.build(run, width=32)
    batch = training_steps.batch_of(run, training_steps.filmed(16), 8)
    with walk.followed():
        lifter.train_step(batch)
    tf.config.run_functions_eagerly(False)


def lift(walk: Walk) -> None:
    """`load_model("studio").lift`, one image."""
    import numpy as np

    import keras_mvlift

    keypoints = np.random.default_rng(0).uniform(300, 700, (17, 2))
    intrinsics = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])
    with walk.followed():
        model = keras_mvlift.load_model("studio")
        model.lift(keypoints, np.ones(17), camera=intrinsics)


def records(walk: Walk) -> None:
    """One take of Human3.6M to its shards of TFRecords."""
    import json

    from components.example_gen import executor, files
    from keras_mvlift import configs, sources
    from keras_mvlift.studio import human36m

    with tempfile.TemporaryDirectory() as folder:
        release = pathlib.Path(folder, "release")
        for _ in human36m.write_release(release, subjects=("S1", "S9"), num_takes=1, num_frames=50):
            pass
        people = {"train_subjects": ["S1"], "test_subjects": ["S9"]}
        config = configs.DataConfig(
            source="human36m",
            source_options=json.dumps(people | {"detections": "cpn_ft_h36m_dbb"}),
            split="subject",
            split_options=json.dumps({"test_subjects": people["test_subjects"]}),
        )
        splits = [split for part in executor.SPLITS.values() for split in part]
        roots = dict.fromkeys(splits, str(pathlib.Path(folder, "records")))
        for split in splits:
            pathlib.Path(folder, "records", files.folder(split)).mkdir(parents=True, exist_ok=True)
        with walk.followed():
            writer = executor.WriteClip(config, str(release), roots)
            writer.setup()
            (clip, *_) = sources.open_source(config, str(release)).clips()
            (outcome,) = writer.process(files.Job(clip, 0, 1))
        if outcome.loss:
            raise RuntimeError(outcome.loss)


def run(walk: Walk) -> None:
    """`tfx run create --pipeline pipeline/local.py`, the demo, for two epochs."""
    from pipeline import local

    with tempfile.TemporaryDirectory() as folder, walk.followed():
        # Two epochs train a model that misses its bounds; the way there is the same.
        local.main([f"--output_root={folder}", "--num_epochs=2"])


WALKS: dict[str, tuple[Callable[[Walk], None], int]] = {
    "step": (training_step, 9),
    "lift": (lift, 8),
    "records": (records, 17),
    "run": (run, 90),
}
"""Each walk, and how many files it should take."""


def main(arguments: list[str]) -> int:
    """Prints the number of files and functions of each walk; gives the exit status."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("walks", nargs="*", help=f"some of {', '.join(WALKS)}; all by default")
    chosen = parser.parse_args(arguments).walks
    if unknown := sorted(set(chosen) - set(WALKS)):
        parser.error(f"`walks` must be some of {', '.join(WALKS)}. Received: {unknown[0]}.")
    status = 0
    for name in chosen or WALKS:
        follow, most = WALKS[name]
        walk = Walk()
        follow(walk)
        files = walk.files
        print(f"{name}: {len(files)} files (at most {most}), {sum(files.values())} functions")
        for path, count in files.items() if chosen else ():
            print(f"    {count:4d} {path}")
        status |= len(files) > most
    return status


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
