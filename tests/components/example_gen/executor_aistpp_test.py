"""AIST++'s layout as its preset reads it: who trains, who tests, and what was left out."""

import pytest

from components.example_gen import executor
from keras_mvlift.studio import aistpp
from pipeline import presets
from tests.components import studio_examples

NUM_FRAMES = 24


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aistpp")
    options = {"subjects": ("d04", "d06"), "num_takes": 3, "num_frames": NUM_FRAMES}
    assert len([*aistpp.write_release(folder / "release", **options)]) == 6
    config = presets.make(presets.recognize(str(folder / "release")), str(folder / "release"))
    few = config.updated({"data": {"num_virtual_views": 1}})
    return studio_examples.generate(folder / "out", few.data, folder / "release")


def test_dancers_and_lists_say_what_trains_is_held_out_and_tests(examples):
    dataset = executor.read_dataset(examples["examples"].uri)
    used = {
        clip["clip"][-13:]: [
            clip["counts"][kind] > 0 for kind in ("train_pairs", "held_out_pairs", "test_views")
        ]
        for clip in dataset["clips"]
    }
    assert used == {
        "d04_mBR0_ch01": [True, False, False],
        "d04_mBR0_ch02": [True, False, False],
        "d04_mBR0_ch03": [False, True, False],
        **{f"d06_mBR0_ch0{number}": [False, False, True] for number in (1, 2, 3)},
    }


def test_what_is_left_out_is_counted_and_named(examples):
    dataset = executor.read_dataset(examples["examples"].uri)
    assert dataset["counts"]["out_of_sync_cameras"] == 1
    assert {
        clip["clip"]: clip["out_of_sync"] for clip in dataset["clips"] if clip["out_of_sync"]
    } == {"gBR_sBM_cAll_d04_mBR0_ch01": ["c05"]}
    assert (dataset["read_clips"], dataset["lost_clips"]) == (6, 0)
    assert any("ignore list: gBR_sBM_cAll_d04_mBR0_ch04" in line for line in dataset["choices"])
