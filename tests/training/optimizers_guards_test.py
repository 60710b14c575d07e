import numpy as np
import pytest

from keras_mvlift.training import optimizers


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_no_number_stops_training_naming_stage_epoch_and_step(loss):
    guard = optimizers.StopOnNonFiniteLoss("Pretrain")
    guard.on_epoch_begin(2)
    with pytest.raises(optimizers.NonFiniteLossError) as raised:
        guard.on_train_batch_end(6, {"loss": loss})
    expected = f"Pretrain: the loss must be finite. Received: {loss} at step 7 of epoch 3."
    assert str(raised.value).startswith(expected)


def test_the_error_says_what_may_help():
    guard = optimizers.StopOnNonFiniteLoss("Finetune")
    guard.on_epoch_begin(0)
    with pytest.raises(ArithmeticError, match=r"learning rate or clip_norm.*ray_root, solved_root"):
        guard.on_train_batch_end(0, {"loss": np.nan})


@pytest.mark.parametrize("loss", [0.0, 1e30, -1.0])
def test_any_number_passes(loss):
    guard = optimizers.StopOnNonFiniteLoss("Finetune")
    guard.on_epoch_begin(0)
    guard.on_train_batch_end(0, {"loss": loss})
