"""Small simulated releases, and readers of them, for tests."""

from keras_mvlift.datasets.human36m import source
from keras_mvlift.studio import human36m


def write(root, **options):
    """Writes a release below `root`; gives its takes by clip name."""
    given = {"subjects": ("S1", "S9"), "num_takes": 2, "num_frames": 8}
    takes = human36m.write_release(root, **(given | options))
    return {f"{take.subject}_{take.label.replace(' ', '_')}": take for take in takes}


def open_source(root, **options):
    """Opens a release of the subjects that `write` writes."""
    given = {"detections": "D2_Positions", "train_subjects": ("S1",), "test_subjects": ("S9",)}
    return source.Human36MSource(root=str(root), **(given | options))
