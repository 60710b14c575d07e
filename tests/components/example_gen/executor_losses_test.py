"""A clip that cannot be used is lost by name, the rest goes on, up to a share."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from components.example_gen import executor
from keras_mvlift import configs
from keras_mvlift.datasets.human36m import protocol
from keras_mvlift.datasets.human36m import release as human36m_release
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.studio import human36m
from tests.components import studio_examples

CAMERA = "55011271"
NUM_TAKES, NUM_FRAMES = 7, 30


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def overwrite(path):
    path.write_bytes(bytes(5000))


def put_nan(path):
    values = human36m_release.read_cdf(path, 64)
    values[7, 3] = np.nan
    path.unlink()
    human36m.write_cdf(path, values)


def shorten(path):
    values = human36m_release.read_cdf(path, 64)
    path.unlink()
    human36m.write_cdf(path, values[:-1])


def rename(path):
    for file in path.parents[1].rglob(f"{path.name.split('.')[0]}*"):
        file.rename(file.with_name(file.name.replace("Phoning", "Juggling")))


DAMAGES = {
    "Directions 1": (truncate, "must"),
    "Discussion 1": (overwrite, "must be a CDF file"),
    "Eating 1": (pathlib.Path.unlink, "must"),
    "Greeting 1": (put_nan, "must be finite. Received: NaN or infinity, frame 7"),
    "Posing 1": (shorten, "must have 30 to 30 frames, as the poses. Received: 29"),
}
UNKNOWN = "Phoning 1"


def config(max_lost_share=0.5):
    subjects = {"train_subjects": ["S1"], "test_subjects": ["S9"]}
    return configs.DataConfig(
        source="human36m",
        source_options=json.dumps(subjects),
        split="subject",
        split_options='{"test_subjects": ["S9"]}',
        max_lost_share=max_lost_share,
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Seven takes of each of two people."""
    root = tmp_path_factory.mktemp("release") / "h36m"
    options = {"num_takes": NUM_TAKES, "num_frames": NUM_FRAMES, "num_distinct_takes": 1}
    takes = human36m.write_release(root, subjects=("S1", "S9"), formats=("cdf",), **options)
    assert len([*takes]) == 2 * NUM_TAKES
    return root


@pytest.fixture(scope="module")
def damaged(release, tmp_path_factory):
    root = tmp_path_factory.mktemp("damaged") / "h36m"
    shutil.copytree(release, root)
    for take, damage in ({take: damage for take, (damage, _) in DAMAGES.items()}).items():
        damage(human36m_release.cdf_keypoints_path(root, "S1", take, CAMERA))
    rename(human36m_release.cdf_keypoints_path(root, "S1", UNKNOWN, CAMERA))
    return root


@pytest.fixture(scope="module")
def whole_examples(release, tmp_path_factory):
    return studio_examples.generate(tmp_path_factory.mktemp("whole"), config(), release)


@pytest.fixture(scope="module")
def examples(damaged, tmp_path_factory):
    return studio_examples.generate(tmp_path_factory.mktemp("rest"), config(), damaged)


def listed(artifacts):
    return json.loads(pathlib.Path(artifacts["examples"].uri, "dead_letters.json").read_text())


def shards(artifacts):
    """The shards' bytes by split, subject and place among the subject's clips."""
    dataset = executor.read_dataset(artifacts["examples"].uri)
    paths = [
        (split, path)
        for name, splits in executor.SPLITS.items()
        for split in splits
        for path in studio_examples.shards(artifacts[name], split)
    ]
    assert {path.name.split("-of-")[1] for _, path in paths} == {"00014.gz"}
    assert len(dataset["clips"]) == len({path.name for _, path in paths})
    return {(split, path.name): path.read_bytes() for split, path in paths}


@pytest.mark.parametrize("take", DAMAGES)
def test_a_damaged_clip_is_lost_with_its_file_field_and_reason(take, examples, damaged):
    path = human36m_release.cdf_keypoints_path(damaged, "S1", take, CAMERA)
    [loss] = [loss for loss in listed(examples)["clips"] if loss["file"] == str(path)]
    assert loss["clip"] == protocol.clip_name("S1", take)
    assert DAMAGES[take][1] in loss["reason"]
    assert loss["message"].startswith(f"{path}: `{loss['field']}` must ")


def test_an_action_that_nobody_knows_loses_its_clip(examples):
    [loss] = [loss for loss in listed(examples)["clips"] if "Juggling" in loss["clip"]]
    assert "Juggling" in loss["message"]


def test_what_is_lost_is_counted(examples):
    counts = {"lost_clips": len(DAMAGES) + 1, "read_clips": 2 * NUM_TAKES - len(DAMAGES) - 1}
    dataset = executor.read_dataset(examples["examples"].uri)
    assert {name: dataset[name] for name in counts} == counts
    assert {name: listed(examples)[name] for name in counts} == counts
    lost = {loss["clip"] for loss in listed(examples)["clips"]}
    assert len(lost) == counts["lost_clips"]
    assert not lost & {clip["clip"] for clip in dataset["clips"]}


def test_the_clips_that_are_left_are_written_as_if_nothing_had_happened(examples, whole_examples):
    whole, rest = set(shards(whole_examples).values()), shards(examples).values()
    # One of S1 to train on, in pairs and in instants; seven of S9 in test views.
    assert len(rest) == 2 + NUM_TAKES
    assert set(rest) <= whole
    assert listed(whole_examples) == {"lost_clips": 0, "read_clips": 2 * NUM_TAKES, "clips": []}


def test_more_losses_than_allowed_end_the_run_and_the_list_outlives_it(damaged, tmp_path):
    message = (
        r"`max_lost_share` lets a run lose 5\.0% of its clips\. Received: 6 of 14 lost, 42\.9%; "
        r"all are listed in (\S+); the first: S1_Directions_1: .*CDF"
    )
    with pytest.raises(ValueError, match=message) as caught:
        studio_examples.generate(tmp_path, config(max_lost_share=0.05), damaged)
    assert not (tmp_path / "examples" / executor.DATASET).exists()
    # As TFX does.
    shutil.rmtree(tmp_path / "examples")
    kept = tmp_path / "examples.dead_letters.json"
    assert str(kept) in str(caught.value)
    assert len(json.loads(kept.read_text())["clips"]) == len(DAMAGES) + 1


def test_a_recording_without_calibration_is_lost_by_its_folder(tmp_path):
    root = tmp_path / "recording"
    shutil.copytree(pose2sim.demo_root(), root, ignore=shutil.ignore_patterns("Calib*"))
    with pytest.raises(
        ValueError, match=r"1 of 1 lost, 100.0%.*calibration: `\*\.qca\.txt or Calib\*\.toml` must"
    ):
        studio_examples.generate(tmp_path, configs.DataConfig(), root)


def test_choices_of_the_protocol_are_logged_and_kept(release, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    artifacts = studio_examples.generate(tmp_path, config(), release)
    choices = executor.read_dataset(artifacts["examples"].uri)["choices"]
    assert any("S9 for testing" in choice for choice in choices)
    for choice in choices:
        assert f"Protocol: {choice}" in caplog.text
    assert "Read 14 clips, lost 0." in caplog.text
