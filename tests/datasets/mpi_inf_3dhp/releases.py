"""Small simulated releases, and what they are known to show."""

from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol
from keras_mvlift.datasets.mpi_inf_3dhp import rig as mpi_inf_3dhp_rig
from keras_mvlift.studio import mpi_inf_3dhp, people

SEED = 3
NUM_FRAMES = 15
CHEST = [0, 2, 4, 7, 8]


class Truth(NamedTuple):
    """A clip as it was performed and filmed.

    Attributes:
        pose_world: `[T, 17, 3]`, meters, the studio's world.
        filmed: What the cameras saw.
        camera: The cameras that saw it.
    """

    pose_world: np.ndarray
    filmed: mpi_inf_3dhp.Film
    camera: object


def write(root, **options):
    """Writes a release of one training subject and two test subjects below `root`."""
    defaults = {"subjects": ("S1",), "test_subjects": ("TS1", "TS5"), "num_frames": NUM_FRAMES}
    for _ in mpi_inf_3dhp.write_release(root, **{"seed": SEED, **defaults, **options}):
        pass
    return root


def training_truth(path=None, subject="S1", sequence="Seq1"):
    """Films a sequence again, with the cameras of a calibration file or with those before it."""
    rig = mpi_inf_3dhp_rig.read_calibration(path) if path else mpi_inf_3dhp.training_rig(SEED)
    camera = rig.camera
    actions = mpi_inf_3dhp.SEQUENCE_ACTIONS[sequence]
    rate = protocol.TAKES[subject, sequence].frame_rate
    return _truth(camera, actions, rate, (2048, 2048), subject, sequence)


def lone_truth(subject="TS1"):
    camera = mpi_inf_3dhp.test_camera(SEED, subject)
    actions = tuple(mpi_inf_3dhp.ACTIVITY_ACTIONS.values())
    size = (2048, 2048) if subject < "TS5" else (1920, 1080)
    return _truth(camera, actions, protocol.TEST_FRAME_RATE, size, subject)


def _truth(camera, actions, frame_rate, image_size, subject, *names):
    def rng():
        return sequences.seeded_generator(SEED, "clip", subject, *names)

    person = people.draw_person(SEED, subject)
    motion, _ = mpi_inf_3dhp.perform_sequence(actions, person, NUM_FRAMES, frame_rate, rng())
    given = (camera, actions, subject, NUM_FRAMES, frame_rate, rng())
    filmed = mpi_inf_3dhp.film(*given, seed=SEED, image_size=image_size)
    return Truth(motion, filmed, camera)
