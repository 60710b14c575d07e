import importlib.util
import json
import pathlib
import subprocess
import sys
import textwrap

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "mutations.py"


def script():
    spec = importlib.util.spec_from_file_location("mutations", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutations = script()


@pytest.fixture
def tree(tmp_path):
    """A product of two lines, and tests of which one fails and one is skipped."""
    (tmp_path / "product").mkdir()
    (tmp_path / "product" / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "tests").mkdir()
    tests = """
        import pytest

        from product import sums


        @pytest.mark.parametrize("number", [0, 1])
        def test_sum(number):
            assert sums.add(2, number) == 2 + number


        def test_zero():
            assert sums.add(0, 0) == 0


        def test_wrong():
            assert sums.add(1, 1) == 3


        def test_skipped():
            pytest.skip("never")
    """
    (tmp_path / "tests" / "sums_test.py").write_text(textwrap.dedent(tests))
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\npython_files = '*_test.py'"
    )
    return tmp_path


def mutation(find="a + b", replace="a - b", test="tests/sums_test.py::test_sum", name="minus"):
    return mutations.Mutation(name, find, replace, test)


def tried(tree, code):
    """What an expression is worth in a process of its own, whose forks have no threads to miss."""
    prelude = f"""
        import importlib.util, json, pathlib
        spec = importlib.util.spec_from_file_location("mutations", {str(SCRIPT)!r})
        m = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(m)
        root = pathlib.Path({str(tree)!r})
        def verdict(replace, test):
            one = m.Mutation("name", "a + b", replace, f"tests/sums_test.py::{{test}}")
            return m.attempt(one, one.test, root, m.product_files(root)).verdict
    """
    source = textwrap.dedent(prelude) + f"print(json.dumps({code}))"
    found = subprocess.run(
        [sys.executable, "-c", source], cwd=tree, capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


def test_what_a_test_notices_is_killed_and_what_it_does_not_survives(tree):
    code = (
        "[verdict('a - b', 'test_sum'), verdict('a - b', 'test_zero'), verdict('a +', 'test_sum')]"
    )
    assert tried(tree, code) == ["killed", "SURVIVED", "no program any more"]
    assert "a + b" in (tree / "product" / "sums.py").read_text()


def test_only_tests_that_pass_unbroken_are_taken_for_tests(tree):
    names = ["test_sum", "test_sum[1]", "test_zero", "test_wrong", "test_skipped"]
    nodes = [f"tests/sums_test.py::{name}" for name in names]
    found = tried(tree, f"m.passing({nodes!r}, root)")
    assert [found[node] for node in nodes] == [True, True, True, False, False]


def test_text_is_found_once_in_the_product_and_nowhere_else(tree):
    hidden = tree / ".venv" / "lib" / "sums.py"
    hidden.parent.mkdir(parents=True)
    hidden.write_bytes(b"\xb1 a + b")
    texts = mutations.product_files(tree)
    assert [path.name for path in texts] == ["sums.py"]
    assert mutations.place(mutation(), texts).name == "sums.py"
    for find, told in (("a * b", "text found 0 times"), ("a", r"text found 3 times, in sums\.py")):
        with pytest.raises(mutations.RefusedError, match=told):
            mutations.place(mutation(find), texts)


def test_a_test_that_was_moved_is_found_by_its_name(tree):
    moved = mutation(test="tests/old/sums_test.py::test_sum[1]")
    assert mutations.node(moved, tree) == "tests/sums_test.py::test_sum[1]"
    with pytest.raises(mutations.RefusedError, match=r"test found 0 times: .*test_gone"):
        mutations.node(mutation(test="tests/sums_test.py::test_gone"), tree)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({}, "twice: .*minus"), ({"name": "other", "replace": "a + b"}, "change something.*other")],
)
def test_a_list_with_a_name_twice_or_no_change_is_refused(changes, message, tmp_path):
    entries = [mutation()._asdict(), mutation()._asdict() | changes]
    path = tmp_path / "mutations.toml"
    lines = [f"{key} = {json.dumps(value)}" for entry in entries for key, value in entry.items()]
    path.write_text(
        "[[mutation]]\n" + "\n".join(lines[:4]) + "\n[[mutation]]\n" + "\n".join(lines[4:])
    )
    with pytest.raises(mutations.RefusedError, match=message):
        mutations.read(path)
