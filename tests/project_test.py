"""Holds the rules of the tree that no linter knows."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("keras_mvlift", "components", "pipeline")
KERAS_FREE = re.compile(r"keras_mvlift/(geometry/|datasets/|studio/|untrusted/|skeletons)")
DRAWERS = {"utils", "helpers", "common", "misc"}
MAX_BODY_LINES = 40


def python_files(*folders):
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT): path.read_text() for path in found}


SOURCES = {path: text for path, text in python_files(*PACKAGES).items() if path.stem != "__init__"}
EVERY_FILE = python_files(*PACKAGES, "tests", "benchmarks")


def mirror(source):
    """Where the test of a source file lives; the library's own name is left out."""
    parts = source.parent.parts
    folder = pathlib.Path("tests", *(parts[1:] if parts[0] == "keras_mvlift" else parts))
    return folder / f"{source.stem}_test.py"


def body_lines(function):
    """Lines of a function behind its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported_names(text):
    """Names that a file imports out of modules of ours."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in PACKAGES:
            for alias in node.names:
                if not is_module(f"{node.module}.{alias.name}"):
                    yield alias.name


def uses_keras(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            used = any("keras" in alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            used = "keras" in {*node.module.split("."), *(alias.name for alias in node.names)}
        else:
            used = isinstance(node, ast.Attribute) and node.attr == "keras"
        if used:
            return True
    return False


def has_test(source):
    """Whether one or more files test a module: `<stem>_test.py`, `<stem>_<part>_test.py`."""
    test = ROOT / mirror(source)
    return test.is_file() or any(test.parent.glob(f"{source.stem}_*_test.py"))


def test_every_source_file_has_its_test_file():
    assert [str(mirror(source)) for source in SOURCES if not has_test(source)] == []


def test_our_packages_are_imported_by_module_not_by_name():
    offenders = {str(path): list(imported_names(text)) for path, text in SOURCES.items()}
    assert {path: names for path, names in offenders.items() if names} == {}


def test_geometry_skeletons_and_datasets_use_no_keras():
    # import-linter sees `import keras`, but not `tf.keras`.
    held = {path: text for path, text in SOURCES.items() if KERAS_FREE.match(str(path))}
    assert [str(path) for path, text in held.items() if uses_keras(text)] == []


def test_no_module_is_a_drawer():
    assert [str(path) for path in EVERY_FILE if DRAWERS & {*path.parts, path.stem}] == []


def test_function_bodies_are_small():
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    lengths = {
        f"{path}:{node.lineno} {node.name}": body_lines(node)
        for path, text in EVERY_FILE.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_BODY_LINES} == {}
