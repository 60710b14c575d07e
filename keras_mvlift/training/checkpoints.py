"""Epoch-wise checkpoints: a stage that is killed goes on where its last epoch ended."""

import pathlib
from typing import Any

import tensorflow as tf
from tensorflow import keras


class EpochCheckpoints(keras.callbacks.Callback):
    """Saves the whole training state after each epoch, and restores the last one.

    The state is the model, dropout generators included, the optimizer and the epoch. With the
    order of the pairs fixed by seed and epoch, a resumed run ends with the weights of an
    unbroken one.

    Args:
        folder: Where checkpoints lie; one folder per stage and settings.
        written: Where to save, if elsewhere: of several workers only one saves into `folder`.
    """

    def __init__(self, folder: pathlib.Path, written: pathlib.Path | None = None):
        super().__init__()
        self.folder = folder
        self.written = written or folder

    def restore(self, model: keras.Model, state: dict[str, Any] | None = None) -> int:
        """Restores a compiled model; gives the number of epochs done.

        Args:
            model: The model.
            state: Variables by name that are saved and restored with it.
        """
        done = tf.Variable(0, dtype=tf.int64, trainable=False)
        checkpoint = tf.train.Checkpoint(
            model=model, optimizer=model.optimizer, epochs_done=done, **state or {}
        )
        self.manager = tf.train.CheckpointManager(checkpoint, str(self.written), max_to_keep=1)
        self.epochs_done = done
        if latest := tf.train.latest_checkpoint(str(self.folder)):
            # What the optimizer makes only in its first step is restored then. After the last
            # epoch there is none, which is no reason to complain.
            status = checkpoint.restore(latest)
            status.assert_existing_objects_matched().expect_partial()
        return int(done.numpy())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves."""
        del logs
        self.epochs_done.assign(epoch + 1)
        self.manager.save(checkpoint_number=epoch + 1)
