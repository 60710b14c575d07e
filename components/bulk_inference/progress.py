"""A bar that tells how many poses the workers have lifted, from the notes that they leave."""

import contextlib
import os
import threading
from collections.abc import Iterator

import tqdm

from components.bulk_inference import lift_file

# Seconds between two looks.
_INTERVAL = 1.0


@contextlib.contextmanager
def shown(root: str, num_files: int) -> Iterator[None]:
    """Shows a bar while workers write below a folder."""
    is_over = threading.Event()
    with tqdm.tqdm(desc="lift", unit="pose", unit_scale=True) as bar:
        thread = threading.Thread(target=_watch, args=(root, num_files, bar, is_over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def count(root: str) -> tuple[int, int]:
    """Counts the files that were begun, and the poses in them."""
    folder = os.path.join(root, lift_file.PROGRESS)
    poses = []
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="ascii") as file:
                text = file.read()
            # A note that is being written is empty for a moment.
            poses.append(int(text) if text.isdecimal() else 0)
    return len(poses), sum(poses)


def _watch(root: str, num_files: int, bar: tqdm.tqdm, is_over: threading.Event) -> None:
    while True:
        was_over = is_over.wait(_INTERVAL)
        num_begun, num_poses = count(root)
        bar.set_postfix_str(f"{num_begun} of {num_files} files begun", refresh=False)
        # A note may be lost for a moment, but nothing is unlifted.
        bar.update(max(num_poses - bar.n, 0))
        if was_over:
            return
