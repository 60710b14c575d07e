import ast
import pathlib
import shutil

import keras_mvlift
from keras_mvlift.experiments import cells


def digest_after(tmp_path, changed):
    root = tmp_path / changed.replace("/", "_")
    shutil.copytree(pathlib.Path(keras_mvlift.__file__).parent, root)
    with (root / changed).open("a") as file:
        file.write("\n")
    return cells._source_digest(root)


def test_what_trains_or_measures_changes_the_digest_and_what_shows_does_not(tmp_path):
    now = cells.code_digest()
    for decides in ("losses/reprojection.py", "configs.py", "experiments/methods.py"):
        assert digest_after(tmp_path, decides) != now
    for shows in ("experiments/tables.py", "cli/main.py", "visualization/pictures.py"):
        assert digest_after(tmp_path, shows) == now


def test_every_part_named_is_there():
    root = pathlib.Path(keras_mvlift.__file__).parent
    assert [part for part in cells._DECIDES if not (root / part).exists()] == []


def imported(root, path):
    """The files of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("keras_mvlift"):
            folder = root.joinpath(*node.module.split(".")[1:])
            named = (folder / f"{alias.name}.py" for alias in node.names)
            yield from (path for path in named if path.exists())


def test_all_that_a_cell_imports_decides():
    root = pathlib.Path(keras_mvlift.__file__).parent
    found, left = set(), [root / "experiments" / "cells.py"]
    while left:
        path = left.pop()
        found.add(path)
        left += set(imported(root, path)) - found
    names = {path.relative_to(root).as_posix() for path in found}
    covered = {name for name in names if name.startswith(tuple(cells._DECIDES))}
    # What a cell asks for is in its digest by itself.
    assert names - covered == {"experiments/variants.py"}
