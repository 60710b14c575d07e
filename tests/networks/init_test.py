"""Which Keras the networks are made of, asked where another is installed than here."""

import subprocess
import sys

TOLD = "import os, keras_mvlift.networks; print(os.environ.get('TF_USE_LEGACY_KERAS'))"


def told(folder):
    """Imports the networks where what lies in a folder comes first."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); {TOLD}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout


def test_the_keras_of_tensorflow_2_15_is_taken_as_it_is(tmp_path):
    assert told(tmp_path) == "None\n"


def test_keras_2_is_chosen_where_it_may_be_beside_keras_3(tmp_path):
    (tmp_path / "tf_keras.py").touch()
    assert told(tmp_path) == "1\n"
