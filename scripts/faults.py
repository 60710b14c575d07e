"""Breaks small runs of the pipeline on purpose, and holds what is left to what is promised.

    make test-faults                            everything, some minutes
    make test-faults ARGS="kills --moments end"  one kind: kills, bad-model, disk or beam

`kills` runs one pipeline again and again and kills it with signal 9 in each component in turn: as
its work starts, in the middle, and when the work is done but not noted. After each kill every
version in the serving folder must be a whole copy of a trained model; at the end a run must
complete, with the results and weights of an unbroken one. Runs are forks of this process, so that
each need not import everything; it keeps to output/faults.
"""

import argparse
import filecmp
import json
import logging
import os
import pathlib
import re
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import NamedTuple

import psutil

from tests.pipeline import studio_runs

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "output" / "faults"
TIMEOUT = 600.0  # Seconds.
SHORT = 2.0  # Seconds; what takes less may end before it is killed half-way.
MOMENTS = ("start", "middle", "end")
SETTINGS = studio_runs.SETTINGS | {
    "name": "faults",
    "finetune": studio_runs.SETTINGS["finetune"] | {"num_epochs": 5},
}
# What a disk holds when it is full, in bytes of a file: fails on the log, ML Metadata, a model.
FILE_SIZES = (20_000, 150_000, 500_000)
WORKERS = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
NAME_OF_WORKER = "apache_beam.runners.worker.sdk_worker_main"

_LINE = re.compile(r"^  (\S+) +(cached|(\d+\.\d) s)$", re.MULTILINE)
_RUNNING = re.compile(r"Component (\S+) is running\.")


class Ended(NamedTuple):
    """What became of a run: minus the signal, or its status."""

    status: int
    console: str

    @property
    def seconds(self) -> dict[str, float]:
        """How long each finished component took; 0 if it was answered from the cache."""
        return {name: float(seconds or 0) for name, _, seconds in _LINE.findall(self.console)}


class PromiseError(AssertionError):
    """A promise that was not kept."""


def promise(is_kept: bool, words: str, run: Ended | None = None) -> None:
    if not is_kept:
        raise PromiseError(words + (f"\n{run.status}\n{run.console}" if run else ""))


def home(name: str) -> pathlib.Path:
    return FOLDER / name / SETTINGS["name"]


def run(name: str, prepare: Callable[[], None] = lambda: None, **changes: object) -> Ended:
    """Runs `pipeline.local.main` in a fork, in a process group of its own."""
    settings = FOLDER / f"{name}.json"
    settings.write_text(json.dumps(SETTINGS | changes))
    console = FOLDER / f"{name}.console"
    process = os.fork()
    if not process:
        _be(console, prepare, [f"--settings={settings}", f"--output_root={FOLDER / name}"])
    deadline = time.monotonic() + TIMEOUT
    while not (ended := os.waitpid(process, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise PromiseError(f"The run hangs.\n{console.read_text()}")
        time.sleep(0.05)
    written = console.read_text().replace("\r", "\n")
    return Ended(os.waitstatus_to_exitcode(ended[1]), written)


def _be(console: pathlib.Path, prepare: Callable[[], None], arguments: list[str]) -> None:
    """Is the run; does not come back."""
    from pipeline import local

    status = 1
    os.setsid()
    file = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        prepare()
        status = local.main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def kill_in(component: str, moment: str, seconds: float) -> Callable[[], None]:
    """Returns what has a run kill itself and its children when its log says the moment has come."""

    def die() -> None:
        os.killpg(0, signal.SIGKILL)

    def prepare() -> None:
        make, running = logging.getLogRecordFactory(), [""]

        def watch(*args: object, **options: object) -> logging.LogRecord:
            record = make(*args, **options)
            message = record.getMessage()
            if found := _RUNNING.fullmatch(message):
                running[0] = found[1]
            if running[0] == component and is_moment(message):
                if moment == "middle":
                    threading.Timer(seconds / 2, die).start()
                else:
                    die()
            return record

        logging.setLogRecordFactory(watch)

    def is_moment(message: str) -> bool:
        if moment == "end":
            return bool(re.fullmatch(r"Execution \d+ succeeded\.", message))
        return message.startswith("Going to run a new execution: ")

    return prepare


def versions(name: str) -> list[pathlib.Path]:
    """Returns what a server would find, each a whole copy of a trained model."""
    folder = home(name) / "serving" / "mvlift"
    found = [path for path in folder.glob("*") if path.name.isdecimal()]
    trained = list(home(name).glob("artifacts/Trainer.Finetune/model/*/Format-Serving"))
    for version in found:
        promise(any(_same(version, model) for model in trained), f"{version} is not whole.")
    return found


def _same(folder: pathlib.Path, other: pathlib.Path) -> bool:
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    others = [path.relative_to(other) for path in other.rglob("*") if path.is_file()]
    _, differing, unread = filecmp.cmpfiles(folder, other, map(str, files), shallow=False)
    return set(files) == set(others) and not differing and not unread


def outcome(name: str) -> tuple[object, bytes]:
    """Returns what a run came to: its results but for places, and its model's weights."""
    results = json.loads((home(name) / "results.json").read_text())
    for key in ("results", "picture", "log", "model", "trained"):
        del results[key]
    (version,) = versions(name)
    return results, (version / "variables" / "variables.data-00000-of-00001").read_bytes()


def kills(moments: tuple[str, ...]) -> None:
    unbroken = run("unbroken")
    promise(unbroken.status == 0, "An unbroken run must complete.", unbroken)
    # A resolver has no work of its own to be killed in.
    components = [name for name in unbroken.seconds if name != "LastBlessedModel"]
    for component in components:
        for moment in moments:
            if moment == "middle" and unbroken.seconds[component] < SHORT:
                continue
            prepare = kill_in(component, moment, unbroken.seconds[component])
            killed = run("kills", prepare)
            promise(killed.status == -signal.SIGKILL, f"{component} is to be killed.", killed)
            told = f"killed in {component}, {moment}: {len(versions('kills'))} pushed"
            print(told, flush=True)
            if moment != "middle":
                promise(component not in killed.seconds, f"{component} ended before.", killed)
    last = run("kills")
    promise(last.status == 0, "The last run must complete.", last)
    promise(outcome("kills") == outcome("unbroken"), "A killed run must end as an unbroken one.")
    print(f"{len(components)} components killed; the last run ended as an unbroken one")


def bad_model() -> None:
    strict = {"bounds": {"mpjpe_mm": 1.0}}
    for component, moment in (("Evaluator", "end"), ("Pusher", "start"), ("Pusher", "end")):
        killed = run("bad", kill_in(component, moment, 0.0), **strict)
        promise(killed.status == -signal.SIGKILL, f"{component} is to be killed.", killed)
        promise(not versions("bad"), "A model that misses its bounds must not be pushed.")
    last = run("bad", **strict)
    promise(last.status == 1, "The last run must fail.", last)
    promise("Blessed    no" in last.console, "The report must say that it is not blessed.", last)
    promise(not versions("bad"), "A model that misses its bounds must not be pushed.")
    print("a bad model was neither blessed nor pushed, whenever its run was killed")


def disk() -> None:
    for size in FILE_SIZES:
        limit = (resource.RLIMIT_FSIZE, (size, size))
        full = run("disk", lambda limit=limit: resource.setrlimit(*limit))
        promise(full.status == 1, "A run on a full disk must fail.", full)
        sentence = re.findall(r"^The run failed: .*", full.console, re.MULTILINE)
        promise(len(sentence) == 1, "It must end in a sentence.", full)
        promise("Traceback" not in full.console, "It must show no traceback.", full)
        promise(not versions("disk"), "It must push nothing.")
        print(f"no file above {size} bytes: {sentence[0][:150]}", flush=True)
    last = run("disk")
    promise(last.status == 0 and len(versions("disk")) == 1, "The last run must complete.", last)
    print("with space the run went on and completed")


def beam() -> None:
    if " " in sys.executable:
        print("not tried: Beam starts no processes of a Python whose path has a space")
        return

    def prepare() -> None:
        threading.Thread(target=_kill_a_worker, args=(os.getpid(),), daemon=True).start()

    lost = run("beam", prepare, beam_pipeline_args=WORKERS)
    promise(lost.status == 1, "A run that loses a worker must fail.", lost)
    promise("A worker process of Beam was lost" in lost.console, "It must say so.", lost)
    promise("Traceback" not in lost.console, "It must show no traceback.", lost)
    promise(not versions("beam"), "It must push nothing.")
    last = run("beam", beam_pipeline_args=WORKERS)
    promise(last.status == 0 and len(versions("beam")) == 1, "The last run must complete.", last)
    print("a lost worker of Beam was told, and the next run completed")


def _kill_a_worker(parent: int) -> None:
    """Kills the first worker as soon as it has begun to write."""
    while not list(home("beam").glob("artifacts/RecordingExampleGen/*/*/*/*.gz*")):
        time.sleep(0.002)
    for child in psutil.Process(parent).children(recursive=True):
        if child.cmdline()[-1:] == [NAME_OF_WORKER]:
            child.kill()
            return


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="kills, bad-model, disk, beam")
    parser.add_argument("--moments", nargs="+", choices=MOMENTS, default=MOMENTS)
    options = parser.parse_args()
    kinds = {
        "kills": lambda: kills(tuple(options.moments)),
        "bad-model": bad_model,
        "disk": disk,
        "beam": beam,
    }
    if unknown := set(options.kinds) - set(kinds):
        parser.error(f"KIND must be of {list(kinds)}. Received: {sorted(unknown)}.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.simplefilter("ignore")
    # Once, for all forks; nothing is run here, which a fork would not survive.
    from pipeline import local  # noqa: F401

    for kind in options.kinds or kinds:
        print(f"== {kind}", flush=True)
        try:
            kinds[kind]()
        except PromiseError as broken:
            sys.exit(f"faults: {broken}")


if __name__ == "__main__":
    main()
