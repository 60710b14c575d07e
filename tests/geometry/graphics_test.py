import inspect
import subprocess
import sys

import pytest
from tensorflow_graphics.geometry.transformation import rotation_matrix_3d
from tensorflow_graphics.rendering.camera import perspective

from keras_mvlift.geometry import graphics

# Imports the module afresh, where it is noticed when the source of anything is read, and when the
# module of anything is searched for among all: each module of the package asks for its own once.
IMPORT = """
import inspect, sys
import tensorflow as tf
tf.keras.layers
reads, searches = [], []
find_source, find_module, stack = inspect.findsource, inspect.getmodule, inspect.stack
inspect.findsource = lambda thing: reads.append(thing) or find_source(thing)
inspect.getmodule = lambda *things: searches.append(things) or find_module(*things)
before = {*sys.modules}
from keras_mvlift.geometry import graphics
assert inspect.stack is stack
new = [name for name in {*sys.modules} - before if name.startswith("tensorflow_graphics")]
print(len(reads), 0 < len(searches) <= len(new))
"""


def test_the_operations_are_those_of_tensorflow_graphics():
    assert graphics.perspective is perspective
    assert graphics.rotation_matrix_3d is rotation_matrix_3d


def test_importing_them_reads_no_source_lines_and_searches_no_module_of_other_frames(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0 True\n"


def test_they_list_their_names_all_the_same():
    assert "rotate" in rotation_matrix_3d.__all__
    assert "project" in perspective.__all__


def fail_to_import():
    with graphics._stack_of_two():
        own, calling = inspect.stack()
        assert (own.function, own.code_context) == ("fail_to_import", None)
        assert calling.function == "test_the_stack_is_as_it_was_even_if_an_import_fails"
        raise ImportError


def test_the_stack_is_as_it_was_even_if_an_import_fails():
    stack = inspect.stack
    with pytest.raises(ImportError):
        fail_to_import()
    assert inspect.stack is stack
