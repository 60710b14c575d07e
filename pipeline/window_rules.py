"""What a backbone that sees windows of frames asks of the rest of a pipeline."""

from keras_mvlift import configs


def check(
    data: configs.DataConfig, model: configs.ModelConfig, *stages: configs.StageConfig
) -> None:
    """Holds the parts of a pipeline to each other; backbones of single frames ask nothing.

    Raises:
        ValueError: If a field does not go with the backbone.
    """
    if not model.is_temporal:
        return
    rules = [
        ("data.num_virtual_views", data.num_virtual_views, 0, "virtual cameras make no windows"),
        *(("patience", stage.patience, 0, "its score is of single frames") for stage in stages),
        *(
            ("finetune.views", stage.views, "pair", "whole instants are read frame by frame")
            for stage in stages
            if isinstance(stage, configs.FinetuneConfig)
        ),
    ]
    for field, value, needed, why in rules:
        if value != needed:
            whose = f"with backbone {model.backbone!r}: {why}"
            raise ValueError(f"`{field}` must be {needed!r} {whose}. Received: {value!r}.")
    for field in ("stride", "test_stride"):
        stride = getattr(data, field)
        if model.frame_step % stride:
            rule = f"a multiple of `data.{field}`, {stride}, or windows have holes"
            raise ValueError(f"`model.frame_step` must be {rule}. Received: {model.frame_step}.")
