"""However many workers there are, in threads or in processes, the files are the same."""

import pathlib

import pytest

from tests.components import studio_examples

pytestmark = pytest.mark.e2e

MODES = ("in_memory", "multi_threading", "multi_processing")


def files(artifacts):
    return {
        (name, str(path.relative_to(artifact.uri))): path.read_bytes()
        for name, artifact in artifacts.items()
        for path in pathlib.Path(artifact.uri).rglob("*")
        if path.is_file()
    }


def test_two_workers_of_each_kind_write_the_same_bytes_as_one(tmp_path):
    config = studio_examples.config(num_frames=40)
    written = {}
    for mode in MODES:
        # The first is what Beam does if nothing is asked of it.
        asked = ("--runner=DirectRunner", f"--direct_running_mode={mode}", "--direct_num_workers=2")
        arguments = () if mode == "in_memory" else asked
        artifacts = studio_examples.generate(tmp_path / mode, config, "", arguments)
        written[mode] = files(artifacts)
    first, threads, processes = (written[mode] for mode in MODES)
    assert {name for _, name in first} > {"dataset.json", "dead_letters.json"}
    assert threads == first
    assert processes == first
