"""Runs the commands that README and the pages of `docs` print, or reads them with what reads them.

What takes a moment runs as it is printed, in a folder where lie the files that it names; the error
stream must stay empty. What takes longer is run by `make test-commands`, in a copy of the checkout.
All that the suite does not run is read by the parser of its program.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from keras_mvlift.cli import commands, main
from pipeline import local
from tests import printed_commands
from tests.components.bulk_inference import stored_views
from tests.experiments import origins_test
from tests.serving import polling, stand_in

ROOT, PRINTED = printed_commands.ROOT, printed_commands.PRINTED
RUN = printed_commands.of_way(None)
LONG = printed_commands.of_way(printed_commands.LONG)
FOR_HOURS = printed_commands.of_way(printed_commands.FOR_HOURS)
# Of TensorFlow Serving, by all pages.
PORT = 8500
# Programs of others, and of the reader.
FOREIGN = {"docker", "kfp", "python train.py", "echo"}

RUNNER = """
import json, os, shlex, sys, tempfile
from keras_mvlift.cli import main
told = []
for folder, line in json.load(sys.stdin):
    os.chdir(folder)
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile("w+") as output:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(output.fileno(), 2)
        try:
            status = main.main(shlex.split(line, comments=True)[1:])
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(kept[0], 1), os.dup2(kept[1], 2)
        output.seek(0)
        told.append([status, output.read()])
json.dump(told, sys.stdout)
"""


def test_commands_of_both_kinds_of_block_are_found():
    assert len(PRINTED) > 50
    assert {"README.md", "docs/studio.md", "docs/rigs.md"} <= {command.page for command in RUN}
    assert {command.words[1] for command in RUN} == {*commands.COMMANDS} - {"train"}


@pytest.mark.parametrize("way", ["ONLY_READ", "FOR_HOURS", "LONG"])
def test_what_the_suite_does_not_run_is_printed_somewhere(way):
    way = getattr(printed_commands, way)
    assert {*way} == {
        next(pattern for pattern in way if command.fits(pattern))
        for command in printed_commands.of_way(way)
    }


def test_a_command_is_run_again_only_where_its_files_are_needed():
    lift, view = "keras-mvlift lift a --output b", "keras-mvlift view b"
    first, again, needed, needs, seen = (
        printed_commands.Printed(page, line)
        for page, line in [("1", lift), ("2", lift), ("3", lift), ("3", view), ("4", view)]
    )
    answered_by = printed_commands.once([first, again, needed, needs, seen])
    assert answered_by == {first: first, again: first, needed: needed, needs: needs, seen: needs}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Runs what is run, page by page, in one process; gives status and errors of each command."""
    root, requests = tmp_path_factory.mktemp("pages"), []
    answered_by = printed_commands.once(RUN)
    run = [command for command in RUN if answered_by[command] == command]
    serving = shutil.copytree(ROOT / "serving", root / "serving")
    for page in dict.fromkeys(command.page for command in run):
        folder = root / page.replace("/", "_")
        folder.mkdir()
        printed_commands.lay_out(folder)
        (folder / "serving").symlink_to(serving)
        lines = [command.line for command in run if command.page == page]
        if any(".mp4" in line for line in lines):
            pytest.importorskip("mediapipe", reason="MediaPipe comes with the extra `video`.")
            printed_commands.write_films(folder)
        requests += [[str(folder), line] for line in lines]
    environment = {"PATH": "/usr/bin:/bin", "BROWSER": "true", "PYTHONPATH": str(ROOT)}
    with socket.socket() as probe:
        if probe.connect_ex(("localhost", PORT)) == 0:
            pytest.skip(f"Another server listens at port {PORT}, which pages name.")
    studio = ROOT / "keras_mvlift" / "models" / "studio"
    versions = dict.fromkeys([1, 2, 1795372969], studio)
    with (
        stand_in.serving(versions, port=PORT) as (served, _),
        polling.following(serving / "config" / "models.config", served),
    ):
        told = subprocess.run(
            [sys.executable, "-c", RUNNER],
            input=json.dumps(requests),
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
    found = dict(zip(run, json.loads(told.stdout), strict=True))
    return {command: found[answered_by[command]] for command in RUN}


@pytest.mark.e2e
@pytest.mark.parametrize("command", RUN, ids=str)
def test_a_command_runs_as_it_is_printed_and_complains_of_nothing(results, command):
    status, said = results[command]
    assert said == ""
    assert status == 0


SIMULATED = (
    "human36m H36M --takes 2 --frames 50",
    "mpi_inf_3dhp 3DHP --frames 50",
    "aistpp AISTPP --subjects d04 d06 --takes 2 --frames 100",
)
NOT_COPIED = (".git", ".venv", ".tools", "output", "__pycache__", ".*_cache")
# What pages leave to the reader, or is more than minutes of training.
SETTINGS = {
    "docs/continuous.md": '{"window": {"num_spans": 5, "warm_start": true}}',
    "docs/orchestrators.md": '{"name": "my-recording", "data": {"source": "pose2sim"}}',
    "docs/settings.md": "name: my_rig\nfinetune: {num_epochs: 6}\n",
}
# Seconds: of computing, for which what takes hours is watched; of the clock, if it has nothing to
# do; and that it may take to stop.
WATCHED, LONGEST, PATIENCE = 60, 900, 60


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout that is set up, with all that pages name in it."""
    folder = tmp_path_factory.mktemp("long") / "keras_mvlift"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (folder / ".venv").mkdir()
    for part in pathlib.Path(sys.prefix).iterdir():
        if part.name != ".setup":
            (folder / ".venv" / part.name).symlink_to(part)
    (folder / ".venv" / ".setup").touch()
    printed_commands.lay_out(folder, num_frames=100)
    for name in ("MOTIONS.npz", "walks.npz"):
        names = (f"{subject:02d}_walk_01" for subject in range(1, 9))
        origins_test.write(folder / name, *names, num_frames=60)
    (folder / "views").mkdir()
    stored_views.write(folder / "views" / "first.parquet", stored_views.columns(30))
    for line in SIMULATED:
        data_set, name, *options = line.split()
        assert main.main(["simulate", data_set, str(folder / name), *options]) == 0
    return folder


def started(checkout, command, log):
    """Starts a command in a shell at the top of a checkout."""
    for name in ("settings.json", "settings.yaml"):
        (checkout / name).write_text(SETTINGS.get(command.page, "{}"))
    environment = {
        "PATH": f"{checkout}/.venv/bin:/usr/bin:/bin",
        "HOME": str(checkout / "home"),
        "PYTHONPATH": str(checkout),
    }
    with log.open("w") as told:
        return subprocess.Popen(
            ["bash", "-c", command.line],
            cwd=checkout,
            env=environment,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def computed(process):
    """Returns the seconds of computing of a process and those that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(process.pid)
        return sum(sum(each.cpu_times()[:2]) for each in [first, *first.children(recursive=True)])
    return 0.0


@pytest.mark.commands
@pytest.mark.parametrize("command", LONG, ids=str)
def test_a_long_command_runs_to_its_end(checkout, tmp_path, command):
    status = started(checkout, command, tmp_path / "log").wait()
    assert status == 0, (tmp_path / "log").read_text()


@pytest.mark.commands
@pytest.mark.parametrize("command", FOR_HOURS, ids=str)
def test_a_command_for_hours_is_at_work_after_a_minute(checkout, tmp_path, command):
    process = started(checkout, command, tmp_path / "log")
    end = time.monotonic() + LONGEST
    while process.poll() is None and computed(process) < WATCHED and time.monotonic() < end:
        time.sleep(1)
    status = process.poll()
    if status is None:
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    told = (tmp_path / "log").read_text()
    assert status in (None, 0), told
    assert "Error" not in told.replace("KeyboardInterrupt", "")
    assert "The run failed" not in told


@pytest.fixture
def parsed(monkeypatch):
    """Has programs end as soon as they have read their arguments."""

    class ParsedError(Exception):
        pass

    def parse(self, *arguments):
        read(self, *arguments)
        raise ParsedError

    read = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    return pytest.raises(ParsedError)


@pytest.mark.parametrize(
    "command",
    [command for command in PRINTED if command not in RUN],
    ids=str,
)
def test_what_is_not_run_is_read_by_its_program(command, parsed, monkeypatch):
    program, *words = command.words
    if program == "keras-mvlift":
        with parsed:
            main.main(words)
    elif program == "tfx":
        check_tfx(words, parsed)
    elif program == "python" and words[0] == "-m":
        monkeypatch.setattr(sys, "argv", words[1:])
        module = importlib.import_module(words[1])
        with parsed:
            module.main(*([words[2:]] if words[1].startswith("pipeline.") else []))
    elif program.startswith("scripts/"):
        assert (ROOT / program).is_file()
    elif "make" in command.words:
        assert command.words[command.words.index("make") + 1] in make_targets()
    else:
        assert any(command.line.startswith(name) for name in FOREIGN)


def check_tfx(words, parsed):
    """Reads what our option of `tfx run create` and the parameters of our pipeline take."""
    assert words[:2] == ["run", "create"]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--pipeline")
    parser.add_argument("--runtime_parameter", action="append", default=[])
    options, unknown = parser.parse_known_args(words[2:])
    assert (unknown, (ROOT / options.pipeline).is_file()) == ([], True)
    with parsed:
        local.parse([f"--{parameter}" for parameter in options.runtime_parameter])


def make_targets():
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_a_mistyped_option_is_read_as_one(parsed):
    with pytest.raises(SystemExit, match="2"):
        main.main(["lift", "walk.mp4", "--model", "studio", "--ouput", "walk.html"])
    with pytest.raises(SystemExit, match="2"):
        check_tfx(
            shlex.split("run create --pipeline pipeline/local.py --runtime_parameter x=1"), parsed
        )


@pytest.mark.parametrize("page", [path.name for path in printed_commands.PAGES])
def test_commands_in_sentences_exist_with_their_options(page):
    text = (ROOT / "docs" / page).read_text()
    for line in re.findall(r"`(keras-mvlift [^`]+|make [^`]+|python -m [^`]+)`", text):
        program, *words = line.split()
        if program == "make":
            assert words[0] in make_targets(), line
        elif program == "python":
            assert importlib.util.find_spec(words[1]), line
        elif not words[0].startswith("--"):
            parser = argparse.ArgumentParser()
            commands.COMMANDS[words[0]].add_arguments(parser)
            known = {name for action in parser._actions for name in action.option_strings}
            assert {word for word in words if word.startswith("--")} <= known, line
