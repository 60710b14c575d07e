import pytest

from pipeline import presets, settings

TEMPORAL = {"backbone": "temporal_dilated", "frame_step": 10}
FIT = {"data": {"num_virtual_views": 0, "stride": 5, "test_stride": 2}, "model": TEMPORAL}


def test_windows_go_with_strides_that_divide_their_step():
    config = settings.PipelineConfig().updated(FIT)
    assert config.model.is_temporal


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"num_virtual_views": 8}}, r"`data.num_virtual_views` must be 0 .*temp.*: 8"),
        ({"data": {"stride": 4}}, "`model.frame_step` must be a multiple of `data.stride`, 4"),
        ({"data": {"test_stride": 3}}, "must be a multiple of `data.test_stride`, 3.*: 10"),
        ({"finetune": {"views": "all"}}, "`finetune.views` must be 'pair' .* Received: 'all'"),
        ({"finetune": {"patience": 2}}, "`patience` must be 0 .* Received: 2"),
        ({"pretrain": {"patience": 1}}, "`patience` must be 0 .* Received: 1"),
    ],
)
def test_what_does_not_go_with_windows_is_refused(changes, message):
    config = settings.PipelineConfig().updated(FIT)
    with pytest.raises(ValueError, match=message):
        config.updated(changes)
    # A backbone of single frames asks for nothing.
    settings.PipelineConfig().updated(FIT | {"model": {}}).updated(changes)


def test_every_preset_goes_with_its_own_backbone():
    for preset in presets.PRESETS.values():
        config = preset()
        settings.check(config.data, config.model, config.pretrain, config.finetune)
