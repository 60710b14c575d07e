"""Loads the library and the pipeline as users may one day, and says what was seen of each trial.

    make test-load                        everything, most of an hour
    make test-load ARGS="lifts user"       some trials, by their names

A trial that breaks what docs/reliability.md says ends the script, with status 1. Commands run in
processes of their own, whose largest memory is told; it keeps to output/load. Linux only.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np
import psutil

import keras_mvlift
from keras_mvlift import inference
from keras_mvlift.lifting import pose_clip
from tests.pipeline import studio_runs

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "output" / "load"
INTRINSICS = np.array([[1100, 0, 510], [0, 1120, 490], [0, 0, 1]], np.float32)
HOUR_FRAMES = 60 * 60 * 60
NUM_CLIENTS, NUM_REQUESTS = 64, 8
# Seconds; the server of the tests has eight threads.
DEADLINE = 600.0
NUM_RECORDS, BROKEN_RECORD = 20_000, 10_000
NUM_CLIPS = 3000
SHORT_FRAMES = 5
FOUR_GIGABYTES = 4 * 2**30
FEW_FILES = 40
# Growth of a process that lifts, in MB, which is what its allocator may keep.
FLAT_MEGABYTES = 16
NOBODY = 65534
TIMEOUT = 3600
CLI = (sys.executable, "-m", "keras_mvlift.cli.main")
PIPELINE = (sys.executable, "-m", "pipeline.local")
# What is tried is not training.
SETTINGS = studio_runs.SETTINGS | {"name": "load"}
SETTINGS |= {stage: SETTINGS[stage] | {"num_epochs": 1} for stage in ("pretrain", "finetune")}


class PromiseError(AssertionError):
    """A promise that was not kept."""


class Ended(NamedTuple):
    """What became of a command: its status, words, seconds of computing, and most memory in MB."""

    status: int
    said: str
    seconds: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s of computing, {self.megabytes:.0f} MB"


def promise(is_kept: bool, words: str, told: object = "") -> None:
    if not is_kept:
        raise PromiseError(f"{words}\n{getattr(told, 'said', told)}")


def run(
    *command: str,
    limits: dict[int, int] | None = None,
    environment: dict[str, str | None] | None = None,
) -> Ended:
    """Runs a command under limits of `resource`, with variables changed, or removed by None."""
    variables = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    variables |= {"LOCAL_HOME": str(FOLDER / "tfx")} | (environment or {})
    variables = {name: value for name, value in variables.items() if value is not None}

    def limit() -> None:
        for kind, most in (limits or {}).items():
            resource.setrlimit(kind, (most, most))

    with tempfile.TemporaryFile("w+", dir=FOLDER) as said:
        process = subprocess.Popen(
            command, cwd=FOLDER, env=variables, stdout=said, stderr=said, preexec_fn=limit
        )
        _, status, used = os.wait4(process.pid, 0)
        said.seek(0)
        told = said.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = used.ru_utime + used.ru_stime
    ended = Ended(process.returncode, told, seconds, used.ru_maxrss / 1024)
    promise("Traceback" not in told, f"{command} must show no traceback.", ended)
    return ended


def joints(num_frames: int, seed: int = 0) -> np.ndarray:
    """Draws keypoints `[T, 17, 2]`, pixels, of someone who moves slowly."""
    rng = np.random.default_rng(seed)
    body = rng.uniform(300, 700, (17, 2))
    sway = 40 * np.sin(np.arange(num_frames) / 90)[:, np.newaxis, np.newaxis]
    return (body + sway + rng.normal(0, 1, (num_frames, 17, 2))).astype(np.float32)


def clip(num_frames: int) -> pathlib.Path:
    """Writes joints as a file that `keras-mvlift lift` reads."""
    path = FOLDER / f"joints-{num_frames}.npz"
    np.savez(path, keypoints_2d=joints(num_frames), confidence=np.ones((num_frames, 17)))
    return path


def lift(source: pathlib.Path, output: pathlib.Path, rate: int = 60, **options: Any) -> Ended:
    """Lifts a file by the command line; the poses must be there."""
    words = ["--model", "studio", "--frame-rate", str(rate), "--fov", "60", "--skeleton"]
    words += ["h36m_17", "--image-size", "1000", "1000", "--force", "--output", str(output)]
    ended = run(*options.pop("before", ()), *CLI, "lift", str(source), *words, **options)
    promise(ended.status == 0 and output.stat().st_size > 0, "Joints must be lifted.", ended)
    return ended


def pipeline(name: str, *words: str, before: tuple[str, ...] = (), **options: Any) -> Ended:
    """Runs the pipeline into a folder of its own; it completes, or ends in one sentence."""
    settings = options.pop("settings", {})
    home = FOLDER / name / SETTINGS["name"]
    shutil.rmtree(home.parent, ignore_errors=True)
    home.parent.mkdir()
    home.parent.chmod(0o777)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(SETTINGS | settings))
    given = (f"--settings={path}", f"--output_root={home.parent}", *words)
    ended = run(*before, *PIPELINE, *given, **options)
    pushed = [each for each in home.glob("serving/mvlift/*") if each.name.isdecimal()]
    promise(ended.status in (0, 1), "It must end by itself.", ended)
    promise(len(pushed) == (not ended.status), "It must push if it completes, else nothing.", ended)
    return ended


def completed(ended: Ended) -> str:
    """Returns what a run took, which must have completed."""
    promise(ended.status == 0, "The run must complete.", ended)
    return str(ended)


def refused(ended: Ended) -> str:
    """Returns what a run said that must not have completed."""
    promise(ended.status == 1, "The run must be refused.", ended)
    said = [line for line in ended.said.splitlines() if line.startswith("The run failed: ")]
    promise(len(said) == 1, "It must say so in one sentence.", ended)
    return f'"{said[0]}"'


def studio(**options: Any) -> dict[str, Any]:
    """Returns settings for another studio than that of the settings."""
    data = SETTINGS["data"] | {"source_options": SETTINGS["data"]["source_options"] | options}
    return {"data": data}


def megabytes() -> float:
    return psutil.Process().memory_info().rss / 2**20


# The trials, each of which says what was seen.


def lifts() -> Iterator[str]:
    """100,000 calls of `lift`, each a frame: memory stays."""
    model, poses = keras_mvlift.load_model("studio"), joints(1000)
    taken, start = [], time.process_time()
    for index in range(100_000):
        model.lift(poses[index % 1000], camera=INTRINSICS)
        if index % 10_000 == 9999:
            taken.append(megabytes())
    pace = (time.process_time() - start) / 100
    yield f"{pace:.2f} ms a call; {taken[0]:.0f} MB after 10,000 calls, {taken[-1]:.0f} after all"
    promise(taken[-1] - taken[0] < FLAT_MEGABYTES, "Memory must be flat.", taken)


def million() -> Iterator[str]:
    """A batch of a million frames in one call."""
    given = FOLDER / "million.npy"
    np.save(given, np.tile(joints(10_000), (100, 1, 1)))
    code = f"""
import numpy as np, keras_mvlift
camera = np.array({INTRINSICS.tolist()}, np.float32)
model, given = keras_mvlift.load_model("studio"), np.load({str(given)!r})
pose = model.lift(given, camera=camera).root_relative_pose
assert pose.shape == (1_000_000, 17, 3) and np.isfinite(pose).all()
some = [0, 499_999, 999_999]
assert np.allclose(model.lift(given[some], camera=camera).root_relative_pose, pose[some], atol=1e-4)
"""
    ended = run(sys.executable, "-c", code)
    given.unlink()
    yield completed(ended)


def hour() -> Iterator[str]:
    """An hour at 60 frames per second, 216,000 frames of joints, by the command line."""
    source = clip(HOUR_FRAMES)
    for ending in ("npz", "json"):
        output = FOLDER / f"hour.{ending}"
        ended, size = lift(source, output), output.stat().st_size / 2**20
        yield f"as .{ending}: {ended}, {size:.0f} MB written"
        (track,) = getattr(pose_clip, f"read_{ending}")(output).tracks
        promise(len(track.pose) == HOUR_FRAMES, "No frame may be lost.", track.pose.shape)


def server() -> Iterator[str]:
    """64 clients of the tests' server, by both protocols; each other request is a bad one."""
    from keras_mvlift import errors
    from keras_mvlift.serving import clients, remote_lifters
    from tests import tiny_studio
    from tests.serving import stand_in

    folder = FOLDER / "served" / "1"
    tiny_studio.save(tiny_studio.trained(), folder)
    model, poses = inference.load_model(folder), joints(NUM_CLIENTS)
    expected = model.lift(poses, camera=INTRINSICS).root_relative_pose
    bad = np.full((1, 17), 2.0)
    seconds: list[float] = []

    def ask(number: int, address: str) -> int:
        remote, num_refused = remote_lifters.connect(address, model.description, DEADLINE), 0
        for _ in range(NUM_REQUESTS):
            start = time.monotonic()
            found = remote.lift(poses[number], camera=INTRINSICS).root_relative_pose
            seconds.append(time.monotonic() - start)
            promise(np.allclose(found, expected[number], atol=1e-4), "An answer is another's.")
            try:
                remote.lift(poses[number][np.newaxis], bad, camera=INTRINSICS)
            except (clients.ServerError, errors.ArgumentError):
                num_refused += 1
        return num_refused

    with stand_in.serving({1: folder}) as (_, addresses):
        places = [f"{address}/mvlift" for address in addresses.values()]
        with futures.ThreadPoolExecutor(NUM_CLIENTS) as pool:
            numbers = list(pool.map(ask, range(NUM_CLIENTS), itertools.cycle(places)))
    promise(numbers == [NUM_REQUESTS] * NUM_CLIENTS, "Every bad request must be refused.", numbers)
    told = f"{NUM_CLIENTS * NUM_REQUESTS} good answers, {sum(numbers)} bad requests refused"
    yield f"{told}; half within {np.median(seconds):.2f} s, the last {max(seconds):.2f} s"


def bulk() -> Iterator[str]:
    """Bulk inference of 20,000 records, of which the one in the middle is broken."""
    from components.bulk_inference import job
    from tests.components.bulk_inference import stored_views

    model = stored_views.save_model(FOLDER / "bulk_model")
    drawn = stored_views.columns(NUM_RECORDS)
    drawn["confidence"][BROKEN_RECORD, 0] = np.nan
    path = stored_views.write(FOLDER / "views.gz", drawn)
    out = FOLDER / "bulk"
    shutil.rmtree(out, ignore_errors=True)
    start = time.monotonic()
    summary = job.run(job.BulkLift(model=str(model), inputs=(str(path),), output=str(out)))
    letters = [letter["record"] for letter in stored_views.letters(out)]
    promise(letters == [BROKEN_RECORD], "The broken record must be told.", letters)
    promise(summary["poses"] == NUM_RECORDS - 1, "All others must be lifted.", summary)
    yield f"{summary['poses']} poses, record {letters[0]} told; {time.monotonic() - start:.0f} s"


def _rig(name: str, num_cameras: int, change: Callable[[Any, Any], None]) -> dict[str, Any]:
    """Writes a rig, changed by a function of its manifest and of its calibrations by camera."""
    from keras_mvlift.untrusted import reading
    from tests.datasets.rigs import simulated_rigs

    root = FOLDER / f"rig-{name}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    simulated_rigs.write_rig(root, num_cameras=num_cameras, num_frames=40, num_clips=3)
    manifest = reading.yaml(root / "rig.yaml", "manifest")
    change(manifest, root)
    (root / "rig.yaml").write_text(json.dumps(manifest))
    tests = [each["name"] for each in manifest["clips"] if each.get("test")]
    options = {"test_clips": tests}
    return {"data": {"source": "rig", "split": "clip", "split_options": options}}


def _alone(manifest: Any, root: pathlib.Path) -> None:
    del root
    name = manifest["cameras"][1]
    manifest["cameras"] = [name]
    for each in manifest["clips"]:
        each["views"] = {name: each["views"][name]}


def _twins(manifest: Any, root: pathlib.Path) -> None:
    from keras_mvlift.datasets.rigs import calibration_files

    path = root / manifest["calibration"]["file"]
    rig = calibration_files.read_toml(path)
    fields = {name: getattr(rig, name)[[0, 0]] for name in ("distortion", "image_sizes")}
    camera = type(rig.camera)(*(field[[0, 0]] for field in rig.camera))
    calibration_files.write_toml(path, rig._replace(camera=camera, **fields))
    for each in manifest["clips"]:
        (seen, *_) = each["views"].values()
        each["views"] = dict.fromkeys(manifest["cameras"], seen)


def rigs() -> Iterator[str]:
    """Rigs of one camera, of two identical ones, and of twelve, through the pipeline."""
    for name, num_cameras, change in (("alone", 2, _alone), ("twins", 2, _twins)):
        settings = _rig(name, num_cameras, change)
        data = f"--data_root={FOLDER / f'rig-{name}'}"
        yield f"{name}: {refused(pipeline(name, data, settings=settings))}"
    twelve = studio(rig="ring", num_cameras=12)
    yield f"twelve: {completed(pipeline('twelve', settings=twelve))}"


def clips() -> Iterator[str]:
    """3,000 clips through the pipeline."""
    # A camera that saw nobody in a whole clip is refused by the schema, and clips are short here.
    many = studio(num_clips=NUM_CLIPS // 2, dropped_view_rate=0.0)
    yield completed(pipeline("clips", settings=many))


def short() -> Iterator[str]:
    """Clips of five frames through the pipeline."""
    yield completed(pipeline("short", settings=studio(num_frames=SHORT_FRAMES)))


@contextlib.contextmanager
def full_folder() -> Iterator[pathlib.Path]:
    """A file system without any space left; needs the right to mount one."""
    folder = FOLDER / "full"
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "full", folder], check=True)
    try:
        with contextlib.suppress(OSError), (folder / "everything").open("wb", 0) as file:
            while True:
                file.write(bytes(4096))
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def tmpdir() -> Iterator[str]:
    """A TMPDIR that is full."""
    with full_folder() as folder:
        yield from _both("tmpdir", environment={"TMPDIR": str(folder)})


def home() -> Iterator[str]:
    """No HOME, and no name of a user."""
    yield from _both("home", environment=dict.fromkeys(("HOME", "USER", "LOGNAME", "LOCAL_HOME")))


def user() -> Iterator[str]:
    """Another user than root, who may read everything and write to the output alone."""
    caps = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    who = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *caps)
    nowhere = dict.fromkeys(("HOME", "LOCAL_HOME"), "/nonexistent")
    yield from _both("user", before=who, environment=nowhere)


def memory() -> Iterator[str]:
    """4 GB of memory."""
    limits = {resource.RLIMIT_DATA: FOUR_GIGABYTES}
    output = FOLDER / "memory-hour.npz"
    yield f"an hour: {lift(clip(HOUR_FRAMES), output, limits=limits)}"
    yield from _both("memory", limits=limits)


def descriptors() -> Iterator[str]:
    """40 open files."""
    yield from _both("descriptors", limits={resource.RLIMIT_NOFILE: FEW_FILES})


def _both(name: str, **options: Any) -> Iterator[str]:
    """Lifts a clip, then runs the pipeline."""
    folder = FOLDER / f"{name}-lifted"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    yield f"lift: {lift(clip(1000), folder / 'poses.json', **options)}"
    ended = pipeline(name, **options)
    yield f"pipeline: {refused(ended) if ended.status else completed(ended)}"


TRIALS = {
    trial.__name__: trial
    for trial in (
        lifts,
        million,
        hour,
        server,
        bulk,
        rigs,
        clips,
        short,
        tmpdir,
        home,
        user,
        memory,
        descriptors,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=", ".join(TRIALS))
    names = parser.parse_args().trials
    if unknown := set(names) - set(TRIALS):
        parser.error(f"TRIAL must be of {list(TRIALS)}. Received: {sorted(unknown)}.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or TRIALS:
        print(f"== {name}: {TRIALS[name].__doc__}", flush=True)
        try:
            for seen in TRIALS[name]():
                print(f"   {seen}", flush=True)
        except PromiseError as broken:
            sys.exit(f"load: {broken}")


if __name__ == "__main__":
    main()
