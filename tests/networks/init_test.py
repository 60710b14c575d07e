"""Which Keras the networks are made of, asked where others are installed than here."""

import subprocess
import sys

TOLD = "import os, keras_mvlift.networks; print(os.environ.get('TF_USE_LEGACY_KERAS'))"


def told(folder, *packages):
    """Imports the networks where packages without content, `name-version`, come first."""
    for package in packages:
        name, version = package.split("-")
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
        about = folder / f"{package}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); {TOLD}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_keras_of_tensorflow_2_15_is_taken_as_it_is(tmp_path):
    assert told(tmp_path).stdout == "None\n"


def test_keras_2_is_chosen_where_it_is_beside_keras_3(tmp_path):
    assert told(tmp_path, "keras-3.15.1", "tf_keras-2.21.0").stdout == "1\n"


def test_keras_3_alone_is_refused(tmp_path):
    done = told(tmp_path, "keras-3.15.1")
    assert "ModuleNotFoundError: `tf_keras` must be installed beside Keras 3" in done.stderr
