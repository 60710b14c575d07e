"""Tries the package where only its core, TensorFlow or `train` is, as locked and on newer Pythons.

    make test-environments                              every Python from 3.10 on that is found
    make test-environments PYTHONS="/some/python3.13"    these

Each environment gets the wheel and NumPy: the lock's version on the Python of this environment,
the newest on the others. Before that two commands must lead to a page, in a path with spaces and
within two minutes. There the shipped model and one that this environment exported must lift as they
do here, into files and a page. Then TensorFlow comes, and a model of clips must lift alike, too;
without it, `ARGS=--bare`, nothing but NumPy is downloaded. Then the `train` extra, and two stages
of training must come to the same losses and weights: from Python 3.12 on by a newer TensorFlow,
without TFX and what asks for tensorflow-addons. It keeps to output/environments.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "output" / "environments"
TOLERANCE = 1e-4  # Meters.
# Of losses, as a share, and of weights: Adam steps on noise where batch norm leaves no gradient.
TRAINING_TOLERANCE = 1e-5
MOST_MEGABYTES = 100
MOST_SECONDS = 120
# Of the answers, those that TensorFlow gives.
TENSORFLOWS = re.compile("windows|streamed|.*/signature/")
PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13")


def find_uv() -> str:
    """Returns the checkout's own uv, or the one on the path."""
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if found is None:
        raise SystemExit("environments: no uv found; `make setup` installs one.")
    return found


def find_pythons() -> list[str]:
    """Returns the Pythons that run; a shim may be there and resolve to nothing."""
    found = [path for path in map(shutil.which, PYTHONS) if path]
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


def lock(uv: str, *extras: str) -> list[str]:
    """Returns what installs the lock's versions of what the core, or an extra too, needs."""
    path = FOLDER / "locked.txt"
    only = ["--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes"]
    only += [f"--extra={extra}" for extra in extras]
    run([uv, "export", "--quiet", *only, "--output-file", str(path)])
    return ["--no-deps", "--requirements", str(path)]


def install(uv: str, folder: pathlib.Path, *packages: str) -> None:
    """Installs into an environment; elsewhere, where no `tool.uv` overrides what packages ask."""
    python = str(folder / "bin" / "python")
    root = pathlib.Path(FOLDER.anchor)
    run([uv, "pip", "install", "--quiet", "--python", python, *packages], cwd=root)


def answers(python: str, given: pathlib.Path, path: pathlib.Path) -> dict[str, np.ndarray]:
    """Lifts with a Python; elsewhere, so that the checkout is not found."""
    script = str(ROOT / "tests" / "environments" / "answers.py")
    run([python, "-I", script, str(given), str(path)], cwd=FOLDER)
    with np.load(path) as file:
        return dict(file)


def compare(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Returns the largest difference, meters; infinity where one lacks what the other has."""
    found, expected = ({**each, "seconds": np.zeros(())} for each in (found, expected))
    if found.keys() != expected.keys():
        return float("inf")
    # Where nobody was seen both have no pose.
    filled = (
        {key: np.nan_to_num(x, nan=1e6) for key, x in one.items()} for one in (found, expected)
    )
    some, others = filled
    return max(float(np.abs(some[key] - others[key]).max()) for key in others)


def try_training(python: str, expected: dict[str, np.ndarray]) -> None:
    """Compares what training comes to with what it comes to here, and prints a line."""
    found = train(python, FOLDER / "trained.npz")
    if found.keys() != expected.keys():
        raise SystemExit(f"environments: trained {sorted(found.keys() ^ expected.keys())} alone.")
    off = max(
        float(np.abs(found[key] - x).max() / max(np.abs(x).max(), 1.0))
        for key, x in expected.items()
    )
    versions = "import tensorflow as tf; print(f'TensorFlow {tf.__version__}')"
    about = run([python, "-c", versions], cwd=FOLDER).stdout.strip()
    print(f"  trained by {about}: off by at most {off:.1e}", flush=True)
    if not off < TRAINING_TOLERANCE:
        raise SystemExit(f"environments: must be less than {TRAINING_TOLERANCE}.")


def train(python: str, path: pathlib.Path) -> dict[str, np.ndarray]:
    """Trains two stages with a Python; elsewhere, so that the checkout is not found."""
    run([python, "-I", str(ROOT / "tests" / "environments" / "trained.py"), str(path)], cwd=FOLDER)
    with np.load(path) as file:
        return dict(file)


def try_command(folder: pathlib.Path, given: pathlib.Path) -> None:
    """Lifts a file by the command line into a page, and asks for what needs an extra."""
    lift = [str(folder / "bin" / "keras-mvlift"), "lift", str(given / "clip.npz"), "--force"]
    lift += ["--model", "studio", "--skeleton", "h36m_17", "--output"]
    run([*lift, str(folder / "lifted.html")], cwd=FOLDER)
    refused = run([*lift, str(folder / "lifted.c3d")], check=False, cwd=FOLDER)
    if refused.returncode != 1 or "keras-mvlift[c3d]" not in refused.stderr:
        raise SystemExit(f"environments: the extra is not named:\n{refused.stderr}")


def try_first_page(folder: pathlib.Path, python: str, wheel: str, given: pathlib.Path) -> None:
    """Goes from a bare environment to a page by two commands, as a newcomer does."""
    shutil.rmtree(folder, ignore_errors=True)
    run([python, "-m", "venv", str(folder)])
    shutil.copy(given / "clip.npz", folder / "my joints.npz")
    begun = time.monotonic()
    run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", wheel])
    lift = [str(folder / "bin" / "keras-mvlift"), "lift", "my joints.npz", "--model", "studio"]
    run([*lift, "--skeleton", "h36m_17", "--output", "my page.html"], cwd=folder)
    seconds = time.monotonic() - begun
    print(f"{folder.name}: the first page after {seconds:.0f} s", flush=True)
    if seconds > MOST_SECONDS:
        raise SystemExit(f"environments: must be at most {MOST_SECONDS} s.")


def try_out(folder: pathlib.Path, given: pathlib.Path, expected: dict[str, np.ndarray]) -> None:
    """Compares what an environment says with what this one says, and prints a line."""
    python = str(folder / "bin" / "python")
    off = compare(answers(python, given, folder / "answers.npz"), expected)
    versions = "import sys, numpy; v = sys.version.split()[0]; "
    versions += "print(f'Python {v}, NumPy {numpy.__version__}')"
    about = run([python, "-c", versions], cwd=FOLDER).stdout.strip()
    size = sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6
    print(f"{about}, {size:.0f} MB: off by at most {off * 1e3:.4f} mm", flush=True)
    if not off < TOLERANCE:
        raise SystemExit(f"environments: must be less than {TOLERANCE * 1e3} mm.")


def try_core(
    uv: str,
    folder: pathlib.Path,
    python: str,
    packages: list[str],
    given: pathlib.Path,
    expected: dict[str, np.ndarray],
) -> None:
    """Makes an environment, and tries in it what NumPy alone does."""
    run([uv, "venv", "--quiet", "--clear", "--python", python, str(folder)])
    install(uv, folder, *packages)
    size = sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6
    if size > MOST_MEGABYTES:
        raise SystemExit(f"environments: {size:.0f} MB must be at most {MOST_MEGABYTES}.")
    try_command(folder, given)
    numpys = {name: value for name, value in expected.items() if not TENSORFLOWS.match(name)}
    try_out(folder, given, numpys)


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Tries the package where only its core is."
    )
    parser.add_argument("pythons", nargs="*", help="interpreters, for the newest versions")
    parser.add_argument("--bare", action="store_true", help="without TensorFlow and training")
    options = parser.parse_args()
    pythons = options.pythons or find_pythons()
    FOLDER.mkdir(parents=True, exist_ok=True)
    uv, given = find_uv(), FOLDER / "given"
    run([sys.executable, "-m", "tests.environments.exported", str(given)])
    expected, wheel = answers(sys.executable, given, FOLDER / "here.npz"), str(build(uv))
    core = ["--upgrade", "numpy", wheel]
    trained = {} if options.bare else train(sys.executable, FOLDER / "trained_here.npz")
    tried = {"locked": (sys.executable, [*lock(uv), wheel])}
    tried |= {f"newest-{number}": (python, core) for number, python in enumerate(pythons)}
    for name, (python, packages) in tried.items():
        folder = FOLDER / name
        try_first_page(FOLDER / "my work" / name, python, wheel, given)
        try_core(uv, folder, python, packages, given, expected)
        if not options.bare:
            is_locked = name == "locked"
            newest = ["--upgrade", "tensorflow"]
            install(uv, folder, *(lock(uv, "tensorflow") if is_locked else newest))
            try_out(folder, given, expected)
            newest = [f"keras-mvlift[train] @ {pathlib.Path(wheel).as_uri()}"]
            install(uv, folder, *(lock(uv, "train") if is_locked else newest))
            try_training(str(folder / "bin" / "python"), trained)
    if not pythons:
        raise SystemExit("environments: no newer Python found; name some.")


if __name__ == "__main__":
    main()
