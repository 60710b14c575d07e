"""Tries the package where only its core is installed: as `uv.lock` has it, and on newer Pythons.

    make test-environments                              every Python from 3.11 on that is found
    make test-environments PYTHONS="/some/python3.13"    these

Each environment gets the wheel, NumPy and TensorFlow: the lock's versions on Python 3.10, the
newest on the others. There two models that this environment exported must lift as they do here. It
downloads about 600 MB for each, and keeps to output/environments.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "output" / "environments"
TOLERANCE = 1e-4  # Meters.
NEWER = ("python3.11", "python3.12", "python3.13")


def find_uv() -> str:
    """Returns the checkout's own uv, or the one on the path."""
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if found is None:
        raise SystemExit("environments: no uv found; `make setup` installs one.")
    return found


def find_pythons() -> list[str]:
    """Returns the newer Pythons that run; a shim may be there and resolve to nothing."""
    found = [path for path in map(shutil.which, NEWER) if path]
    return [path for path in found if not run([path, "-c", ""], check=False).returncode]


def run(
    arguments: list[str], check: bool = True, cwd: pathlib.Path = ROOT
) -> "subprocess.CompletedProcess[str]":
    """Runs a program; ends with what it said if it fails."""
    # Nothing of the environment that runs this may be found there.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=cwd, env=environment)
    if check and done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        raise SystemExit(f"environments: {' '.join(arguments)} failed:\n{said}")
    return done


def build(uv: str) -> pathlib.Path:
    """Builds the wheel."""
    shutil.rmtree(FOLDER / "wheel", ignore_errors=True)
    run([uv, "build", "--quiet", "--wheel", "--out-dir", str(FOLDER / "wheel")])
    (wheel,) = (FOLDER / "wheel").glob("*.whl")
    return wheel


def lock(uv: str) -> pathlib.Path:
    """Writes the versions that the lock has of the core, the wheel's only needs."""
    path = FOLDER / "core.txt"
    only = ["--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes"]
    run([uv, "export", "--quiet", *only, "--output-file", str(path)])
    return path


def make(uv: str, name: str, python: str, packages: list[str]) -> pathlib.Path:
    """Makes an environment; gives the folder of its programs."""
    folder = FOLDER / name
    run([uv, "venv", "--quiet", "--clear", "--python", python, str(folder)])
    run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *packages])
    return folder / "bin"


def answers(python: str, given: pathlib.Path, path: pathlib.Path) -> dict[str, np.ndarray]:
    """Lifts with a Python; elsewhere, so that the checkout is not found."""
    script = str(ROOT / "tests" / "environments" / "answers.py")
    run([python, "-I", script, str(given), str(path)], cwd=FOLDER)
    with np.load(path) as file:
        return dict(file)


def compare(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Returns the largest difference, meters; infinity where one lacks what the other has."""
    if found.keys() != expected.keys():
        return float("inf")
    # Where nobody was seen both have no pose.
    filled = (
        {key: np.nan_to_num(x, nan=1e6) for key, x in one.items()} for one in (found, expected)
    )
    some, others = filled
    return max(float(np.abs(some[key] - others[key]).max()) for key in others)


def try_command(programs: pathlib.Path, given: pathlib.Path) -> str:
    """Lifts a file by the command line, and asks for what needs an extra; gives what that said."""
    lift = [str(programs / "keras-mvlift"), "lift", str(given / "clip.npz")]
    lift += ["--model", str(given / "frames"), "--force", "--output"]
    run([*lift, str(programs.parent / "lifted.json")], cwd=FOLDER)
    refused = run([*lift, str(programs.parent / "lifted.html")], check=False, cwd=FOLDER)
    if refused.returncode != 1 or "keras-mvlift[viz]" not in refused.stderr:
        raise SystemExit(f"environments: the extra is not named:\n{refused.stderr}")
    return refused.stderr.strip()


def try_out(programs: pathlib.Path, given: pathlib.Path, expected: dict[str, np.ndarray]) -> None:
    """Compares what an environment says with what this one says, and prints a line."""
    python = str(programs / "python")
    off = compare(answers(python, given, programs.parent / "answers.npz"), expected)
    try_command(programs, given)
    versions = "import sys, numpy, tensorflow as tf; v = sys.version.split()[0]; "
    versions += "print(f'Python {v}, TensorFlow {tf.__version__}, NumPy {numpy.__version__}')"
    about = run([python, "-c", versions], cwd=FOLDER).stdout.strip()
    print(f"{about}: off by at most {off * 1e3:.4f} mm", flush=True)
    if not off < TOLERANCE:
        raise SystemExit(f"environments: must be less than {TOLERANCE * 1e3} mm.")


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Tries the package where only its core is."
    )
    parser.add_argument("pythons", nargs="*", help="interpreters, for the newest TensorFlow")
    pythons = parser.parse_args().pythons or find_pythons()
    FOLDER.mkdir(parents=True, exist_ok=True)
    uv, given = find_uv(), FOLDER / "given"
    run([sys.executable, "-m", "tests.environments.exported", str(given)])
    expected = answers(sys.executable, given, FOLDER / "answers.npz")
    wheel = str(build(uv))
    locked = ["--requirements", str(lock(uv)), wheel]
    try_out(make(uv, "locked", sys.executable, locked), given, expected)
    if not pythons:
        raise SystemExit("environments: no newer Python found; name some.")
    for number, python in enumerate(pythons):
        newest = ["--upgrade", "numpy", "tensorflow", wheel]
        try_out(make(uv, f"newest-{number}", python, newest), given, expected)


if __name__ == "__main__":
    main()
