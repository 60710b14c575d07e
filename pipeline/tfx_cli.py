"""Returns the stock `tfx run create` one more option, `--pipeline FILE`.

    tfx run create --pipeline pipeline/local.py --runtime_parameter num_epochs=2

runs `python pipeline/local.py --num_epochs=2` inside the `tfx` process and, as the
run starts, registers the pipeline as `tfx pipeline create --engine=local` would.

TFX has no hook for plug-ins, and a second console script called `tfx` would overwrite TFX's own or
be overwritten by it. So the package ships `keras_mvlift_tfx_cli.pth` (here: `tfx_cli.pth`), whose
one line Python executes at each start, of every program of the environment. In `tfx`, told by the
first two words after `python`, it loads this file by its path and calls `install`. The name
`pipeline` is not imported on the way: it belongs to whatever project the command is used for.

Without `--pipeline` the stock command runs, as it came. Uninstalling the package, or
deleting the `.pth`, takes the option away; nothing of TFX is changed on disk.
"""

import contextlib
import gc
import importlib.machinery
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

OPTION_NAMES = ("--pipeline", "--pipeline_path", "--pipeline-path")
ENGINES = ("auto", "local")
PARAMETERS = ("data_root", "output_root", "preset", "num_epochs", "seed", "settings")
"""Of pipeline/local.py, whose `--help` tells more of them."""

# TensorFlow's wheel registers its CUDA libraries twice and calls that an error.
CUDA_REGISTERED_TWICE = "Unable to register cu(DNN|FFT|BLAS) factory"

Around = Callable[[types.ModuleType], contextlib.AbstractContextManager[None]]


def install() -> None:
    """Extends the command once TFX imports it; with `--pipeline`, quietens imports."""
    around: dict[str, Around] = {"tfx.tools.cli.commands.run": _extend_run_group}
    if _is_requested(sys.orig_argv):
        # Imports make no garbage worth a fifth of their time; `_run_file` takes it up again.
        gc.disable()
        _silence_known_warnings()
        around["tensorflow"] = _import_tensorflow_quietly
    sys.meta_path.insert(0, ImportWatcher(around))


class ImportWatcher:
    """Enters a context manager around the first import of each module named."""

    def __init__(self, around: Mapping[str, Around]) -> None:
        self._around = dict(around)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Finds what Python would have found, with a loader that enters the context."""
        if fullname not in self._around:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            around, execute = self._around.pop(fullname), loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                with around(module):
                    execute(module)

            loader.exec_module = exec_module
        return spec


def _is_requested(argv: Sequence[str]) -> bool:
    names = {word.partition("=")[0] for word in argv}
    return {"run", "create"} <= names and not names.isdisjoint(OPTION_NAMES)


def _silence_known_warnings() -> None:
    # Info and warning lines of TensorFlow's C++: oneDNN, CPU features, CUDA, TensorRT.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.filterwarnings(
        "ignore", r"You are using a (non-supported )?Python version", FutureWarning, r"google\."
    )
    warnings.filterwarnings(
        "ignore", r"\s*TensorFlow Addons \(TFA\) has ended development", UserWarning
    )


@contextlib.contextmanager
def _import_tensorflow_quietly(_module: types.ModuleType) -> Iterator[None]:
    """Drops known lines that C++ writes to file descriptor 2, past `sys.stderr`."""
    grep = shutil.which("grep")
    if grep is None:
        yield
        return
    command = [grep, "--text", "--line-buffered", "-vE", CUDA_REGISTERED_TWICE]
    stderr = os.dup(2)
    lines, entry = os.pipe()
    # Should the import crash, a process of its own still lets its last words out.
    process = subprocess.Popen(command, stdin=lines, stdout=stderr)
    os.close(lines)
    os.dup2(entry, 2)
    os.close(entry)
    try:
        yield
    finally:
        os.dup2(stderr, 2)  # Closes the last entry of the pipe, which ends `grep`.
        os.close(stderr)
        process.wait()


@contextlib.contextmanager
def _extend_run_group(module: types.ModuleType) -> Iterator[None]:
    yield
    extend(module.run_group.commands["create"])


def extend(command: click.Command) -> None:
    """Adds `--pipeline` to the stock `create` command, beside `--pipeline_name`."""
    name_option = next(p for p in command.params if p.name == "pipeline_name")
    name_option.required = False
    path_option = click.Option(
        [*OPTION_NAMES, "pipeline_path"],
        type=click.Path(path_type=pathlib.Path),
        help="Python file of a local pipeline, to be registered and run in this process."
        " Takes the place of --pipeline_name. pipeline/local.py takes, each as"
        f" --runtime_parameter NAME=VALUE: {', '.join(PARAMETERS)}.",
    )
    command.params.insert(command.params.index(name_option) + 1, path_option)
    command.callback = _choose_callback(command.callback, name_option)


def _choose_callback(run_by_name: Any, name_option: click.Parameter) -> Callable[..., None]:
    def create_run(pipeline_path: pathlib.Path | None, **options: Any) -> None:
        if pipeline_path is not None:
            _run_file(pipeline_path, **options)
        elif options["pipeline_name"] is None:
            raise click.MissingParameter(ctx=click.get_current_context(), param=name_option)
        else:
            run_by_name(**options)

    return create_run


def _run_file(
    path: pathlib.Path,
    *,
    engine: str,
    pipeline_name: str | None,
    runtime_parameter: Iterable[str],
    **_cloud_options: str,
) -> None:
    """Registers and runs the pipeline of one file."""
    path = pathlib.Path(os.path.abspath(path))
    if pipeline_name is not None:
        raise click.ClickException("--pipeline and --pipeline_name exclude each other.")
    if engine not in ENGINES:
        raise click.ClickException(
            f"--pipeline runs on the local engine. Received: --engine={engine}."
        )
    if not path.is_file():
        raise click.ClickException(f"--pipeline names no file. Received: {path}.")
    arguments = [_script_argument(parameter) for parameter in runtime_parameter]
    patcher = _registering_patcher(path)
    gc.freeze()
    gc.enable()
    with patcher.patch():
        run_as_script(path, arguments)
    if not patcher.run_called:
        raise click.ClickException(f"{path} ended without a call of LocalDagRunner.run().")


def _script_argument(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    if not (name and equals):
        raise click.ClickException(
            f"--runtime_parameter takes <name>=<value>. Received: {parameter}."
        )
    return f"--{parameter}"


def _registering_patcher(path: pathlib.Path) -> Any:
    """Returns TFX's patcher of LocalDagRunner, registering as the real run starts."""
    from tfx.tools.cli import labels
    from tfx.tools.cli.handler import dag_runner_patcher, local_dag_runner_patcher, local_handler

    handler = local_handler.LocalHandler(
        {labels.ENGINE_FLAG: labels.LOCAL_ENGINE, labels.PIPELINE_DSL_PATH: str(path)}
    )

    class RegisteringPatcher(local_dag_runner_patcher.LocalDagRunnerPatcher):
        def __init__(self) -> None:
            # The parent's own __init__ would bypass the run.
            dag_runner_patcher.DagRunnerPatcher.__init__(self, call_real_run=True)

        def _before_run(self, runner: Any, pipeline: Any, context: Any) -> None:
            click.echo(f"Creating a run for pipeline: {context[self.PIPELINE_NAME]}")
            handler._save_pipeline(dict(context))

    return RegisteringPatcher()


def run_as_script(path: pathlib.Path, arguments: Sequence[str]) -> None:
    """Executes a file as `python FILE ARGUMENTS...` does; any end but success is a SystemExit."""
    argv, sys_path = sys.argv, sys.path[:]
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as exit_request:
        if exit_request.code not in (None, 0):
            raise
    finally:
        sys.argv, sys.path[:] = argv, sys_path
