"""Runs the real `tfx` of the environment on a real, tiny pipeline."""

import contextlib
import copy
import importlib
import json
import os
import pathlib
import subprocess
import sys
import textwrap
from typing import NamedTuple

import pytest
from click import testing

from pipeline import tfx_cli

BIN = pathlib.Path(sys.executable).parent

TINY_PIPELINE = """
import gc
import sys

from tfx.dsl.component.experimental import annotations, decorators
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import local_dag_runner

import pipeline as neighbour


@decorators.component
def Say(word: annotations.Parameter[str]) -> None:
    print("said", word)


if __name__ == "__main__":
    print("arguments", sys.argv)
    print("garbage", gc.isenabled(), gc.get_freeze_count() > 100_000)
    print("neighbour", neighbour.__file__)
    root = neighbour.__file__ + ".output"
    word = sys.argv[1] if len(sys.argv) > 1 else "nothing"
    tiny = pipeline.Pipeline(
        pipeline_name="tiny",
        pipeline_root=root,
        components=[Say(word=word)],
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(root + ".sqlite"),
    )
    local_dag_runner.LocalDagRunner().run(tiny)
"""


class Shell(NamedTuple):
    folder: pathlib.Path

    def run(self, *command):
        hidden = ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS", "PYTHONPATH")
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        env["HOME"] = env["LOCAL_HOME"] = str(self.folder / "home")
        env["PATH"] = f"{BIN}:{env['PATH']}"
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "home").mkdir()
    (folder / "local.py").write_text(TINY_PIPELINE)
    # A project's own package called `pipeline`, as TFX's templates have it.
    (folder / "pipeline.py").touch()
    return Shell(folder)


@pytest.fixture(scope="module")
def first_run(shell):
    return shell.run(
        "tfx", "run", "create", "--pipeline", "local.py", "--runtime_parameter", "word=hello"
    )


@pytest.fixture(scope="module")
def create():
    """The stock command, extended; a copy, so that the process keeps its own."""
    from tfx.tools.cli.commands import run

    command = copy.copy(run.run_group.commands["create"])
    command.params = copy.deepcopy(command.params)
    tfx_cli.extend(command)
    return command


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(text))
        return path

    return write


def invoke(command, *arguments):
    result = testing.CliRunner().invoke(command, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.mark.e2e
def test_pipeline_option_runs_the_file_as_python_would(shell, first_run):
    assert first_run.returncode == 0, first_run.stderr
    assert f"arguments ['{shell.folder}/local.py', '--word=hello']" in first_run.stdout
    assert "said --word=hello" in first_run.stdout
    # Looked for again, but not in what was imported before.
    assert "garbage True True" in first_run.stdout


@pytest.mark.e2e
def test_pipeline_option_prints_no_noise(first_run):
    assert first_run.stderr == ""


@pytest.mark.e2e
def test_pipeline_option_leaves_the_name_pipeline_to_the_project(shell, first_run):
    assert f"neighbour {shell.folder}/pipeline.py" in first_run.stdout


@pytest.mark.e2e
@pytest.mark.usefixtures("first_run")
def test_pipeline_option_registers_what_it_ran_by_its_absolute_path(shell):
    arguments = json.loads((shell.folder / "home/tiny/pipeline_args.json").read_text())
    assert arguments == {
        "pipeline_name": "tiny",
        "pipeline_root": f"{shell.folder}/pipeline.py.output",
        "pipeline_dsl_path": f"{shell.folder}/local.py",
    }


@pytest.mark.e2e
@pytest.mark.usefixtures("first_run")
def test_second_run_is_cached(shell):
    module = ("-m", "tfx.tools.cli.cli_main", "run", "create")
    result = shell.run(
        sys.executable, *module, "--pipeline_path=local.py", "--runtime_parameter", "word=hello"
    )
    assert result.returncode == 0, result.stderr
    assert "Creating a run for pipeline: tiny" in result.stdout
    assert "said" not in result.stdout


@pytest.mark.e2e
@pytest.mark.usefixtures("first_run")
def test_stock_list_shows_the_pipeline(shell, monkeypatch):
    from tfx.tools.cli.commands import pipeline

    monkeypatch.setenv("LOCAL_HOME", str(shell.folder / "home"))
    code, output = invoke(pipeline.pipeline_group, "list", "--engine=local")
    assert code == 0
    assert "tiny" in output.splitlines()


def test_ordinary_python_loads_nothing_of_ours():
    listing = "import sys; print(*sys.modules, *map(repr, sys.meta_path))"
    names = subprocess.check_output([sys.executable, "-c", listing], text=True)
    assert not {"click", "pipeline", "keras_mvlift"} & set(names.split())
    assert "tfx_cli" not in names


def test_neither_file_nor_name_is_the_stock_error(create):
    code, output = invoke(create)
    assert code == 2
    assert "Error: Missing option '--pipeline_name' / '--pipeline-name'." in output


def test_bad_options_get_one_line_each(create, script, tmp_path):
    path = script("")
    missing = tmp_path / "missing.py"
    expected = {
        (missing,): f"--pipeline names no file. Received: {missing}.",
        (tmp_path,): f"--pipeline names no file. Received: {tmp_path}.",
        (path, "--engine=kubeflow"): "--pipeline runs on the local engine. "
        "Received: --engine=kubeflow.",
        (path, "--pipeline_name=x"): "--pipeline and --pipeline_name exclude each other.",
        (path, "--runtime_parameter=x"): "--runtime_parameter takes <name>=<value>. Received: x.",
        (path,): f"{path} ended without a call of LocalDagRunner.run().",
    }
    for arguments, message in expected.items():
        assert invoke(create, "--pipeline", *arguments) == (1, f"Error: {message}\n")


def test_click_exception_of_the_file_is_its_message(create, script):
    path = script("""
        import click
        raise click.ClickException("no recording")
    """)
    assert invoke(create, "--pipeline", path) == (1, "Error: no recording\n")


def test_exit_status_of_the_file_is_the_status(create, script):
    assert invoke(create, "--pipeline", script("raise SystemExit(3)")) == (3, "")


def test_run_as_script_is_main_with_its_folder_first(script, capsys):
    path = script("""
        import sys
        print(__name__, sys.modules["__main__"].__dict__ is globals(), sys.path[0], sys.argv)
    """)
    argv, sys_path = sys.argv, list(sys.path)
    tfx_cli.run_as_script(path, ["--seed=1"])
    expected = f"__main__ True {path.parent} {[str(path), '--seed=1']}\n"
    assert capsys.readouterr().out == expected
    assert (sys.argv, sys.path) == (argv, sys_path)


def test_run_as_script_takes_exit_zero_for_an_end(script):
    tfx_cli.run_as_script(script("raise SystemExit(0)"), [])


def test_import_watcher_wraps_the_first_import_of_the_named_module(tmp_path, monkeypatch):
    (tmp_path / "watched_module.py").write_text("STATE = 'executed'")
    states = []

    @contextlib.contextmanager
    def around(module):
        states.append(getattr(module, "STATE", "empty"))
        yield
        states.append(module.STATE)

    watcher = tfx_cli.ImportWatcher({"watched_module": around})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [watcher, *sys.meta_path])
    for _ in range(2):
        importlib.import_module("watched_module")
        del sys.modules["watched_module"]
    assert states == ["empty", "executed"]


def test_quiet_import_drops_only_the_known_lines(capfd):
    with tfx_cli._import_tensorflow_quietly(sys):
        os.write(2, b"E cuda_dnn.cc] Unable to register cuDNN factory: twice\n")
        os.write(2, b"E something else\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "E something else\nafter\n"
