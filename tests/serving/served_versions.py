"""Versions of a real SavedModel, answered for as TensorFlow Serving does, by either protocol."""

import threading
import time

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

tf1 = tf.compat.v1


class RefusedError(Exception):
    """Carries gRPC's name of a status and what is said with it."""

    def __init__(self, code, detail):
        super().__init__(detail)
        self.code, self.detail = code, detail


class Version:
    """One SavedModel in a session of its own, as in TensorFlow Serving."""

    def __init__(self, folder):
        self.session = tf1.Session(graph=tf1.Graph())
        with self.session.graph.as_default():
            loaded = tf1.saved_model.load(self.session, ["serve"], str(folder))
        self.signatures = dict(loaded.signature_def)

    def run(self, signature_name, inputs):
        signature = self.signatures.get(signature_name or "serving_default")
        if signature is None:
            rule = f'Serving signature name: "{signature_name}" not found in signature def'
            raise RefusedError("FAILED_PRECONDITION", rule)
        if {*inputs} != {*signature.inputs}:
            rule = f"input size does not match signature: {[*inputs]} vs {[*signature.inputs]}"
            raise RefusedError("INVALID_ARGUMENT", rule)
        feeds = {signature.inputs[name].name: value for name, value in inputs.items()}
        fetches = {name: tensor.name for name, tensor in signature.outputs.items()}
        try:
            return dict(zip(fetches, self.fed(feeds, [*fetches.values()]), strict=True))
        except tf.errors.OpError as error:
            raise RefusedError("INVALID_ARGUMENT", error.message) from error
        except UnicodeDecodeError as error:
            # What was sent is repeated, and Python cannot read it; the server does not try.
            said = error.object.decode(errors="replace")
            raise RefusedError("INVALID_ARGUMENT", said) from error

    def fed(self, feeds, fetches):
        """Runs as the server does, without Python's own look at what is fed."""
        options = config_pb2.CallableOptions(feed=[*feeds], fetch=fetches)
        return self.session._make_callable_from_options(options)(*feeds.values())


class Versions:
    """What both protocols ask.

    `failures` are codes that the next requests are refused with, `delay` seconds that each takes,
    `num_requests` how many there were.
    """

    def __init__(self, folders, labels, model):
        self.loaded = {number: Version(folder) for number, folder in folders.items()}
        self.labels, self.model = labels, model
        self.failures, self.delay, self.num_requests = [], 0.0, 0
        self.lock = threading.Lock()

    def begin(self):
        with self.lock:
            self.num_requests += 1
            failure = self.failures.pop(0) if self.failures else None
        time.sleep(self.delay)
        if failure is not None:
            raise RefusedError(failure, "told to fail")

    def numbers(self, model, label, version):
        """Returns the numbers that a request means, the newest last."""
        if label and label not in self.labels:
            raise RefusedError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        asked = self.labels[label] if label else version
        found = sorted(self.loaded) if asked is None else [asked]
        if model != self.model or not {*found} <= {*self.loaded}:
            raise RefusedError("NOT_FOUND", f"Servable not found for request: {model}")
        return found

    def version(self, model, label, version):
        number = self.numbers(model, label, version)[-1]
        return number, self.loaded[number]
