"""A simulated release of Human3.6M: the real one's files, with people out of the studio.

For those who want to see the pipeline run on Human3.6M before they have it. Cameras, lenses, file
formats, names and lengths are those of the release; motions and detections are the studio's.
"""

import pathlib
from collections.abc import Iterator

from keras_mvlift.datasets import detectors
from keras_mvlift.datasets.human36m import actions, release_files, rig, simulated_takes

MAX_TAKES = 2 * len(actions.ACTIONS)


def write_release(
    root: str | pathlib.Path,
    *,
    subjects: tuple[str, ...] = rig.SUBJECTS,
    num_takes: int = MAX_TAKES,
    num_frames: int = 500,
    num_distinct_takes: int = MAX_TAKES,
    seed: int = 0,
    formats: tuple[str, ...] = tuple(release_files.FORMATS),
    detector: detectors.Detector | None = None,
    shift_takes: bool = False,
) -> Iterator[simulated_takes.SimulatedTake]:
    """Writes a simulated release, a take at a time.

    Arguments are checked at once. The takes are written as the result is iterated over, and the
    archives once it ends.

    Args:
        root: A folder that is empty or not there yet.
        subjects: Some of `rig.SUBJECTS`.
        num_takes: Takes per subject, up to 30.
        num_frames: Frames per take, of the motion capture.
        num_distinct_takes: How many takes of a subject are filmed; the others repeat them under
            other names, which is faster.
        seed: Not negative. A take depends on it and its own name alone.
        formats: Some of `release_files.FORMATS`.
        detector: How well joints are seen; `detectors.Detector()` without.
        shift_takes: Whether the takes of S9 that are shifted in the real release are here.

    Yields:
        Each take, once it is written.

    Raises:
        FileExistsError: If the folder holds anything.
        ValueError: If another argument breaks its rule.
    """
    root = pathlib.Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FileExistsError(f"`root` must be an empty folder or not there. Received: {root}.")
    _some_of("subjects", subjects, rig.SUBJECTS)
    _some_of("formats", formats, tuple(release_files.FORMATS))
    counts = {"num_takes": num_takes, "num_distinct_takes": num_distinct_takes}
    for name, count in counts.items():
        if not 1 <= count <= MAX_TAKES:
            raise ValueError(f"`{name}` must lie in [1, {MAX_TAKES}]. Received: {count}.")
    if num_frames < 1 or seed < 0:
        rule = "`num_frames` must be positive and `seed` not negative"
        raise ValueError(f"{rule}. Received: num_frames={num_frames}, seed={seed}.")
    takes = (
        take
        for subject in subjects
        for take in simulated_takes.perform(
            subject,
            num_takes=num_takes,
            num_frames=num_frames,
            num_distinct_takes=num_distinct_takes,
            seed=seed,
            detector=detector or detectors.Detector(),
            shift_takes=shift_takes,
        )
    )
    return _written(root, takes, formats)


def _written(
    root: pathlib.Path, takes: Iterator[simulated_takes.SimulatedTake], formats: tuple[str, ...]
) -> Iterator[simulated_takes.SimulatedTake]:
    root.mkdir(parents=True, exist_ok=True)
    files = [release_files.FORMATS[name](root) for name in formats]
    for take in takes:
        for file in files:
            file.add(take)
        yield take
    for file in files:
        file.close()


def _some_of(name: str, chosen: tuple[str, ...], known: tuple[str, ...]) -> None:
    if not chosen or not set(chosen) <= set(known) or len(set(chosen)) < len(chosen):
        rule = f"name some of {', '.join(known)}, each once"
        raise ValueError(f"`{name}` must {rule}. Received: {chosen}.")
