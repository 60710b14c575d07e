"""PyTorch, asked for times from an interpreter that need not have it."""

import json
import pathlib
import subprocess
from collections.abc import Sequence
from typing import Any

_FOLDER = pathlib.Path(__file__).parent


class TorchProcess:
    """A program that answers line by line; `close` ends it.

    Args:
        python: An interpreter that has PyTorch and NumPy.
        program: What it runs: it answers each line of its input with a line of JSON.
        arguments: Of the program.
    """

    def __init__(self, python: pathlib.Path, program: str, arguments: Sequence[object]):
        self._process = subprocess.Popen(
            [str(python), program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self, line: str) -> Any:
        """Returns what is answered to a line.

        Raises:
            ValueError: If the interpreter does not run the program.
        """
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise ValueError("`process` must have pipes. Received: none.")
        try:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            said = process.stdout.readline()
        except BrokenPipeError:
            said = ""
        if not said:
            received = f"exit status {process.wait()} of {process.args!r}"
            raise ValueError(f"`torch-python` must have PyTorch and NumPy. Received: {received}.")
        return json.loads(said)

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


class TorchNetworks:
    """Two networks as a model has, without weights of any sense; `close` ends their process.

    Args:
        python: An interpreter that has PyTorch.
        width: Units of each dense layer.
        num_blocks: Residual blocks.
        layers_per_block: Dense layers of each.
        num_threads: That PyTorch may use.

    Raises:
        ValueError: If the interpreter does not run it.
    """

    def __init__(
        self,
        python: pathlib.Path,
        width: int,
        num_blocks: int,
        layers_per_block: int,
        num_threads: int,
    ):
        shape = (width, num_blocks, layers_per_block, num_threads)
        self._process = TorchProcess(python, str(_FOLDER / "torch_networks.py"), shape)
        self.size = int(self._process.answer("size"))

    def seconds(self, batch_size: int, num_calls: int) -> list[float]:
        """Returns what each of some calls in a row takes, `[num_calls]`."""
        return list(self._process.answer(f"{batch_size} {num_calls}"))

    def close(self) -> None:
        """Ends the process."""
        self._process.close()


class TorchTraining:
    """A training step as `MultiViewLifter` takes it; `close` ends its process.

    Args:
        python: An interpreter that has PyTorch.
        start: A file of what `training_speed.write_start` writes: a batch, weights and settings.
        num_threads: That PyTorch may use.

    Raises:
        ValueError: If the interpreter does not run it.
    """

    def __init__(self, python: pathlib.Path, start: pathlib.Path, num_threads: int):
        program = str(_FOLDER / "torch_training.py")
        self._process = TorchProcess(python, program, (start, num_threads))

    def start(self) -> list[float]:
        """Returns the loss at the start, without dropout, and the norm of its gradient."""
        return list(self._process.answer("start"))

    def seconds(self, num_steps: int) -> list[float]:
        """Returns what each of some steps in a row takes, `[num_steps]`, with dropout."""
        return list(self._process.answer(f"{num_steps}"))

    def close(self) -> None:
        """Ends the process."""
        self._process.close()
