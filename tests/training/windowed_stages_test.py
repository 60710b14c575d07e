"""Stages of training of networks that see windows of frames."""

import pytest

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, view_windows
from keras_mvlift.training import lifters, stage_data, stages
from tests import temporal_networks, tiny_studio

CONFIG = configs.FinetuneConfig(num_epochs=2, batch_size=tiny_studio.BATCH_SIZE)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Pairs of 14 frames to train on, a virtual camera among five, and of 6 held out."""
    folder = tmp_path_factory.mktemp("records")
    split, clip = preparation.ByBlocks(num_blocks=1, block_length=6, gap=2), tiny_studio.film()
    columns = preparation.prepare(clip, split, configs.DataConfig(num_virtual_views=1))
    train = tiny_studio.write(folder / "train.gz", columns.train_pairs)
    held_out = tiny_studio.prepare(clip).held_out_pairs
    return train, tiny_studio.write(folder / "held_out.gz", held_out)


@pytest.fixture
def run(records, tmp_path):
    def run(config=CONFIG, windows=None, **files):
        train, held_out = records
        lifter = temporal_networks.lifter()
        windows = windows or lifters.window_of(temporal_networks.CONFIG)
        folders = (tmp_path / "checkpoints", tmp_path / "logs")
        about = stage_data.Files([train], [held_out], *folders, windows=windows, **files)
        return lifter, stages.run(lifter, config, about, "Finetune")

    return run


def test_a_stage_trains_on_windows_of_real_views(run):
    before = tiny_studio.weights(temporal_networks.lifter())
    lifter, history = run()
    assert len(history) == 2
    assert history[1]["loss"] < history[0]["loss"]
    assert history[1]["val_loss"] > 0
    # 84 pairs of real views, in batches of 16, whatever the virtual ones.
    assert int(lifter.optimizer.iterations) == 2 * tiny_studio.NUM_BATCHES
    assert not tiny_studio.same(tiny_studio.weights(lifter), before)


def test_a_stage_goes_on_where_the_one_before_ended(run, monkeypatch):
    first_epochs, load = [], view_windows.load

    def watched(*arguments, first_epoch, **options):
        first_epochs.append(first_epoch)
        return load(*arguments, first_epoch=first_epoch, **options)

    monkeypatch.setattr(view_windows, "load", watched)
    run(configs.FinetuneConfig(num_epochs=1, batch_size=tiny_studio.BATCH_SIZE))
    run()
    assert first_epochs == [0, 1]


def test_the_windows_are_those_asked_for(run, monkeypatch):
    asked, load = [], view_windows.load_once
    monkeypatch.setattr(
        view_windows, "load_once", lambda *arguments: asked.append(arguments) or load(*arguments)
    )
    windows = view_windows.Windows(9, is_causal=True, step=2)
    run(windows=windows)
    assert asked[0][1:] == (tiny_studio.BATCH_SIZE, windows)


@pytest.mark.parametrize(
    ("change", "files", "rule"),
    [
        ({"views": "all"}, {"num_views": 5}, "`views` must be 'pair' .* windows .*: 'all'"),
        ({"patience": 3}, {}, "`patience` must be 0 .* windows of frames. Received: 3"),
        ({"batch_size": 85}, {}, "`batch_size` must be at most the number of pairs, 84"),
    ],
)
def test_what_windows_cannot_do_is_refused(run, change, files, rule):
    config = configs.FinetuneConfig(**{"num_epochs": 1, "batch_size": 16} | change)
    with pytest.raises(ValueError, match=f"Finetune: {rule}"):
        run(config, **files)
