"""Has a stand-in follow a model config as TensorFlow Serving does."""

import contextlib
import threading

from keras_mvlift.serving import rollouts


class Follower:
    """Polls a config; `refusals` are labels it would not move, `states` what clients were given."""

    def __init__(self, path, versions):
        self.path, self.versions, self.on_disk = path, versions, dict(versions.loaded)
        self.refusals, self.states = [], []

    def poll(self):
        model = rollouts.only_model(self.path, rollouts.read_config(self.path))
        aspired = {*model.model_version_policy.specific.versions} & {*self.on_disk}
        labels = dict(model.version_labels)
        in_use = self.versions.labels
        for label, number in labels.items():
            # A label in use moves only to a version that is loaded before the config says so.
            if in_use.get(label, number) != number and number not in self.versions.loaded:
                self.refusals.append((label, number))
                return
        self.versions.labels = labels
        self.versions.loaded = {number: self.on_disk[number] for number in sorted(aspired)}
        state = ({**labels}, sorted(aspired))
        if state not in self.states[-1:]:
            self.states.append(state)


@contextlib.contextmanager
def following(path, versions):
    follower, stop = Follower(path, versions), threading.Event()
    follower.poll()

    def run():
        while not stop.wait(0.05):
            follower.poll()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield follower
    finally:
        stop.set()
        thread.join()
