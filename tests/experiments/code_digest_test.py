import pathlib
import shutil

import keras_mvlift
from keras_mvlift.experiments import code_digest


def digest_after(tmp_path, changed):
    root = tmp_path / changed.replace("/", "_")
    shutil.copytree(pathlib.Path(keras_mvlift.__file__).parent, root)
    with (root / changed).open("a") as file:
        file.write("\n")
    return code_digest._digest(root)


def test_what_trains_or_measures_changes_the_digest_and_what_shows_does_not(tmp_path):
    now = code_digest.code_digest()
    for decides in ("losses/reprojection.py", "configs.py", "experiments/methods.py"):
        assert digest_after(tmp_path, decides) != now
    for shows in ("experiments/tables.py", "cli/main.py", "visualization/colors.py"):
        assert digest_after(tmp_path, shows) == now


def test_every_part_named_is_there():
    root = pathlib.Path(keras_mvlift.__file__).parent
    assert [part for part in code_digest._DECIDES if not (root / part).exists()] == []
