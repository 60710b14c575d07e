import inspect
import subprocess
import sys

import pytest
from tensorflow_graphics.geometry.transformation import rotation_matrix_3d
from tensorflow_graphics.rendering.camera import perspective

from keras_mvlift.geometry import graphics

# Imports the module afresh, where reading the source of anything is noticed.
IMPORT = """
import inspect
import tensorflow as tf
tf.keras.layers
reads = []
inspect.findsource = lambda thing: reads.append(thing) or ([], 0)
stack = inspect.stack
from keras_mvlift.geometry import graphics
assert inspect.stack is stack
print(len(reads))
"""


def test_the_operations_are_those_of_tensorflow_graphics():
    assert graphics.perspective is perspective
    assert graphics.rotation_matrix_3d is rotation_matrix_3d


def test_importing_them_reads_no_source_lines(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"


def fail_to_import():
    with graphics._stack_without_sources():
        caller = inspect.stack()[0]
        assert (caller.function, caller.code_context) == ("fail_to_import", None)
        raise ImportError


def test_the_stack_is_as_it_was_even_if_an_import_fails():
    stack = inspect.stack
    with pytest.raises(ImportError):
        fail_to_import()
    assert inspect.stack is stack
