"""Breaks the product in many small ways, and has a test notice each.

    make test-mutations                          all of scripts/mutations.toml, some minutes
    make test-mutations ARGS="--only root"       those whose name contains a word

A mutation is text that occurs once in the product's files, wherever it stands, what to put in its
place, and the test that is to fail then. Copies of the tree are broken, never the tree itself.
Tests run in forks of this process, so that each need not import everything; all are first seen to
pass on an unbroken copy. The exit status is 1 unless every mutation was noticed.
"""

import argparse
import collections
import functools
import importlib
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
import tqdm

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIST = ROOT / "scripts" / "mutations.toml"
TIMEOUT = 300.0  # Seconds; a broken loop may never end.
NO_PRODUCT = {"tests", "docs", "scripts", "output"}
ENDINGS = {".py", ".js", ".html", ".css", ".json"}
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".tools", "output", "__pycache__", ".*_cache", ".hypothesis"
)
# What takes long to import and is not ours; a fork then has it already.
IMPORTED_FIRST = (
    "tensorflow",
    "tensorflow_addons",
    "hypothesis",
    "scipy.optimize",
    "scipy.spatial",
    "h5py",
    "matplotlib.pyplot",
    "pyarrow.parquet",
    "yaml",
)
# TFX and Beam: only where a test of theirs is asked for.
IMPORTED_FOR_COMPONENTS = ("tfx.v1", "tensorflow_model_analysis", "apache_beam")
COMPONENTS = ("tests/components/", "tests/pipeline/")


class Mutation(NamedTuple):
    """One way to break the product.

    Attributes:
        name: A few words.
        find: Text that occurs once in all of the product.
        replace: What stands there then.
        test: `file::test` of pytest, with or without parameters in brackets.
    """

    name: str
    find: str
    replace: str
    test: str


class Outcome(NamedTuple):
    """What became of a mutation: a word or more, seconds, and what pytest said."""

    verdict: str
    seconds: float = 0.0
    console: str = ""


class Ended(NamedTuple):
    """How a run of pytest ended: its status, or None if it hung, and the outcomes of its tests."""

    status: int | None
    tests: dict[str, str]
    seconds: float
    console: str


class RefusedError(ValueError):
    """A mutation that cannot be tried, or a list of them."""


def read(path: pathlib.Path = LIST) -> list[Mutation]:
    """Reads the list; a name must not come twice, nor a mutation change nothing."""
    mutations = [Mutation(**entry) for entry in tomllib.loads(path.read_text())["mutation"]]
    names = collections.Counter(mutation.name for mutation in mutations)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise RefusedError(f"Names must be there once. Received twice: {twice}.")
    if idle := [mutation.name for mutation in mutations if mutation.find == mutation.replace]:
        raise RefusedError(f"Mutations must change something. Received: {idle}.")
    return mutations


def product_files(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """Reads the product's texts: those of all folders but tests, documentation and scripts."""
    folders = [
        path
        for path in root.iterdir()
        if path.is_dir() and path.name not in NO_PRODUCT and not path.name.startswith(".")
    ]
    paths = [path for folder in sorted(folders) for path in sorted(folder.rglob("*.*"))]
    return {path: path.read_text() for path in paths if path.suffix in ENDINGS}


def place(mutation: Mutation, texts: Mapping[pathlib.Path, str]) -> pathlib.Path:
    """Finds the one file that a mutation breaks."""
    found = [path for path, text in texts.items() for _ in range(text.count(mutation.find))]
    if len(found) != 1:
        places = f", in {', '.join(sorted({path.name for path in found}))}" if found else ""
        raise RefusedError(f"text found {len(found)} times{places}")
    return found[0]


def node(mutation: Mutation, root: pathlib.Path) -> str:
    """Finds a mutation's test: where the list says, or in the one file that it was moved to."""
    file, _, name = mutation.test.partition("::")
    pattern = re.compile(rf"^\s*def {re.escape(name.partition('[')[0])}\(", re.MULTILINE)

    def is_in(path: pathlib.Path) -> bool:
        return path.is_file() and bool(pattern.search(path.read_text()))

    if is_in(root / file):
        return mutation.test
    moved = [path for path in sorted((root / "tests").rglob("*_test.py")) if is_in(path)]
    if len(moved) != 1:
        raise RefusedError(f"test found {len(moved)} times: {mutation.test}")
    return f"{moved[0].relative_to(root)}::{name}"


class _Outcomes:
    """A plugin of pytest that notes what became of each test."""

    def __init__(self) -> None:
        self.tests: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self.tests[report.nodeid] = report.outcome


def run(nodes: Sequence[str], root: pathlib.Path, *options: str) -> Ended:
    """Runs tests on a copy in a fork, in a process group of its own."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        console, tests = pathlib.Path(folder, "console"), pathlib.Path(folder, "tests")
        process = os.fork()
        if not process:
            _be([*options, *nodes], root, console, tests)
        status = _wait(process, start + TIMEOUT)
        found = json.loads(tests.read_text()) if tests.is_file() else {}
        return Ended(status, found, time.monotonic() - start, console.read_text())


def _wait(process: int, deadline: float) -> int | None:
    while not (ended := os.waitpid(process, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return None
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(ended[1])


def _be(
    arguments: Sequence[str], root: pathlib.Path, console: pathlib.Path, tests: pathlib.Path
) -> None:
    """Is the run of tests; does not come back."""
    status = int(pytest.ExitCode.INTERNAL_ERROR)
    os.setsid()
    file = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        os.chdir(root)
        sys.path.insert(0, str(root))
        # Bytecode of the same second and length would be taken for that of the text before.
        sys.dont_write_bytecode = True
        os.environ |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        outcomes = _Outcomes()
        options = ["-n0", "-p", "no:cacheprovider"]
        status = pytest.main([*options, *arguments], plugins=[outcomes])
        library = sys.modules.get("keras_mvlift")
        if library is None or str(library.__file__).startswith(str(root)):
            tests.write_text(json.dumps(outcomes.tests))
        else:
            print(f"The tests were of another tree: {library.__file__}.")
            status = int(pytest.ExitCode.INTERNAL_ERROR)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def passing(nodes: Sequence[str], root: pathlib.Path) -> dict[str, bool]:
    """Runs tests of one file together; says which passed: one that was skipped did not."""
    ended = run(nodes, root)
    found = {node: set() for node in nodes}
    for name, outcome in ended.tests.items():
        for node in {name, name.partition("[")[0]} & found.keys():
            found[node].add(outcome)
    return {node: "passed" in found[node] and "failed" not in found[node] for node in nodes}


def attempt(
    mutation: Mutation, test: str, root: pathlib.Path, texts: Mapping[pathlib.Path, str]
) -> Outcome:
    """Breaks a copy, runs the test and mends the copy."""
    path = place(mutation, texts)
    path.write_text(texts[path].replace(mutation.find, mutation.replace))
    try:
        ended = run([test], root, "-x")
    finally:
        path.write_text(texts[path])
    if ended.status is None:
        verdict = "killed: it hung"
    elif ended.status == pytest.ExitCode.TESTS_FAILED and "failed" in ended.tests.values():
        verdict = "killed"
    elif ended.status == pytest.ExitCode.OK:
        verdict = "SURVIVED"
    else:
        # A test that cannot even be collected shows nothing.
        verdict = "no program any more"
    return Outcome(verdict, ended.seconds, ended.console)


_copy: dict[str, Any] = {}
"""Of a worker process: its own copy of the tree, and the texts of it."""


def _start(folder: str) -> None:
    root = pathlib.Path(folder, str(os.getpid()))
    shutil.copytree(ROOT, root, ignore=NOT_COPIED)
    _copy.update(root=root, texts=product_files(root))


def _passing(nodes: Sequence[str]) -> dict[str, bool]:
    return passing(nodes, _copy["root"])


def _attempt(job: tuple[Mutation, str]) -> tuple[Mutation, Outcome]:
    return job[0], attempt(*job, _copy["root"], _copy["texts"])


def try_out(mutations: Sequence[Mutation], num_jobs: int, is_console: bool) -> int:
    """Tries all mutations, prints what becomes of each, and returns how many were noticed."""
    texts = product_files(ROOT)
    jobs: list[tuple[Mutation, str]] = []
    outcomes: dict[Mutation, Outcome] = {}
    for mutation in mutations:
        try:
            place(mutation, texts)
            jobs.append((mutation, node(mutation, ROOT)))
        except RefusedError as error:
            outcomes[mutation] = Outcome(str(error))
    by_file = collections.defaultdict(set)
    for _, test in jobs:
        by_file[test.partition("::")[0]].add(test)
    forked = multiprocessing.get_context("fork")
    with (
        tempfile.TemporaryDirectory() as folder,
        forked.Pool(num_jobs, _start, (folder,)) as pool,
    ):
        files = pool.imap_unordered(_passing, map(sorted, by_file.values()))
        bar = functools.partial(tqdm.tqdm, smoothing=0)
        is_passing: dict[str, bool] = {}
        for found in bar(files, "unbroken", len(by_file), unit="file"):
            is_passing |= found
        for mutation, test in jobs:
            if not is_passing[test]:
                outcomes[mutation] = Outcome(f"the test fails on what is not broken: {test}")
        for mutation, outcome in outcomes.items():
            _print(mutation, outcome, is_console)
        sound = [job for job in jobs if is_passing[job[1]]]
        tried = pool.imap_unordered(_attempt, sound)
        for mutation, outcome in bar(tried, "broken", len(sound), unit="mutation"):
            outcomes[mutation] = outcome
            _print(mutation, outcome, is_console)
    return sum(outcome.verdict.startswith("killed") for outcome in outcomes.values())


def _print(mutation: Mutation, outcome: Outcome, is_console: bool) -> None:
    tqdm.tqdm.write(f"{outcome.seconds:6.1f} s  {mutation.name}: {outcome.verdict}")
    if is_console:
        tqdm.tqdm.write(outcome.console)


def warm_up(mutations: Iterable[Mutation]) -> None:
    """Imports what forks will need, but nothing of ours."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    names = IMPORTED_FIRST
    if any(mutation.test.startswith(COMPONENTS) for mutation in mutations):
        names += IMPORTED_FOR_COMPONENTS
    for name in names:
        importlib.import_module(name)
    ours = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    if imported := ours & set(sys.modules):
        raise RuntimeError(f"Imported before it was broken: {sorted(imported)}.")


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="WORD", help="mutations whose name contains it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="default: %(default)s")
    parser.add_argument("--console", action="store_true", help="print what pytest said, too")
    options = parser.parse_args()
    mutations = [one for one in read() if (options.only or "") in one.name]
    if not mutations:
        parser.error(f"`--only` must be in some mutation's name. Received: {options.only}.")
    warm_up(mutations)
    num_killed = try_out(mutations, options.jobs, options.console)
    print(f"{num_killed} of {len(mutations)} mutations were noticed.")
    return int(num_killed < len(mutations))


if __name__ == "__main__":
    sys.exit(main())
