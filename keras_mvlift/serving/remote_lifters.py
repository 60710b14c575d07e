"""Models that a server runs, with the methods of models that run here."""

import pathlib
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift import errors, inference, skeletons
from keras_mvlift.serving import clients

MAX_AT_ONCE = 1024
"""Poses in a request; a server that batches takes no more than its `max_batch_size`."""

_FRAMES, _CLIPS = "lift_camera", "lift_clip"


class _Remote:
    """What remote models share; `knows_training`: whether a camera like training's is known."""

    def __init__(
        self,
        client: clients.Client,
        signatures: dict[str, clients.Signature],
        description: dict[str, Any] | None,
    ):
        self.client, self._signatures = client, signatures
        self.knows_training = description is not None
        about = _like_ours() if description is None else description
        super().__init__(pathlib.PurePath(client.address.path), about)  # type: ignore[call-arg]

    def _checked(self, keypoints_2d: Any, confidence: Any, camera: Any, *joints: Any) -> Any:
        if camera is None and not self.knows_training:
            raise ValueError(
                "`camera` must be given, or the model's description, for a server does not tell "
                "the cameras of training. Received: neither."
            )
        return super()._checked(keypoints_2d, confidence, camera, *joints)  # type: ignore[misc]

    def _load(self) -> tuple[None, types.SimpleNamespace]:
        """Returns what stands in for a SavedModel, whatever lies in a folder of its name."""
        signatures = {name: self._caller(name) for name in self._signatures}
        return None, types.SimpleNamespace(signatures=signatures)

    def _caller(self, signature: str) -> Callable[..., dict[str, tf.Tensor]]:
        def call(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            arrays = {name: np.asarray(tensor) for name, tensor in inputs.items()}
            size = len(next(iter(arrays.values())))
            if not size:
                return self._nothing(signature, arrays)
            answers = [
                self.client.predict(
                    signature,
                    {name: array[start : start + MAX_AT_ONCE] for name, array in arrays.items()},
                )
                for start in range(0, size, MAX_AT_ONCE)
            ]
            return {
                name: tf.constant(np.concatenate([answer[name] for answer in answers]))
                for name in answers[0]
            }

        return call

    def _nothing(self, signature: str, arrays: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
        """Returns what nobody is lifted to, which no server need be asked."""
        # Of the inputs' unknown axes and the outputs', the second is that of frames.
        num_frames = next(iter(arrays.values())).shape[1]
        sizes = {name: axes[1:] for name, axes in self._signatures[signature].outputs.items()}
        return {
            name: tf.zeros([0, *(num_frames if axis is None else axis for axis in axes)])
            for name, axes in sizes.items()
        }


class RemoteLifter(_Remote, inference.Lifter):
    """A model on a server that lifts frame by frame; made by `connect`."""


class RemoteClipLifter(_Remote, inference.ClipLifter):
    """A model on a server that lifts a frame by those around it; made by `connect`."""

    def stream(self) -> Any:
        """Refuses, by a ValueError: a stream keeps its state where its frames come in."""
        raise ValueError(
            f"`stream` must be asked of a model that runs here. Received: {self.client.address}."
        )


def connect(
    server: str | clients.Address,
    description: dict[str, Any] | None = None,
    deadline: float = clients.DEADLINE,
) -> RemoteLifter | RemoteClipLifter:
    """Connects to a model behind TensorFlow Serving.

    Args:
        server: Where it is, such as `"grpc://localhost:8500/mvlift/labels/stable"`.
        description: Of the same model, `inference.load_model(...).description`, from which a camera
            that is left out is taken and which a model of clips needs. Left out, the joints are
            those of `skeletons.H36M_17`.
        deadline: Seconds for a call and all its retries.

    Returns:
        What `inference.load_model` gives, but for `stream`.

    Raises:
        ValueError: If the address is none or the model is not one of ours.
        ConnectionError: If the server does not answer; a `clients.ServerError`.
    """
    address = clients.parse(server) if isinstance(server, str) else server
    client = clients.connect(address, deadline)
    signatures = client.signatures()
    is_for_clips = _CLIPS in signatures
    lift = signatures.get(_CLIPS if is_for_clips else _FRAMES)
    if lift is None:
        rule = f"have a model with the signature {_FRAMES} or {_CLIPS}"
        raise ValueError(f"`server` must {rule}. Received: {', '.join(signatures)} at {address}.")
    about = _like_ours() if description is None else description
    if is_for_clips and "window" not in about:
        rule = "be of the served model, which lifts clips and does not tell how far frames are "
        raise errors.ArgumentError("description", f"{rule}apart", "none of such a model")
    served = lift.inputs["keypoints_2d"][-2]
    rule = f"have the joints that the server has: {served}"
    num_joints = len(about["joints"])
    errors.require(served == num_joints, "description", rule, f"{num_joints} joints")
    return (RemoteClipLifter if is_for_clips else RemoteLifter)(client, signatures, description)


def _like_ours() -> dict[str, Any]:
    joints, parents = skeletons.H36M_17.joints, skeletons.H36M_17.parents
    return {"joints": joints, "parents": parents, "intrinsics": np.full((3, 3), np.nan).tolist()}
