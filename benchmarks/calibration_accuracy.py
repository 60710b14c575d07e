"""How near calibration comes to a studio's true rig: the table of docs/calibration.md.

`python -m benchmarks.calibration_accuracy`
"""

import itertools
import sys
import time

import numpy as np

from keras_mvlift.calibration import extrinsics, reports
from keras_mvlift.studio import synthetic

_NUM_CAMERAS = (2, 4, 8)
_NUM_FRAMES = (25, 100, 200)
_SEEDS = range(3)
_REACH = 4.5


def main() -> None:
    """Writes a row per number of cameras and frames, the worst camera's median over seeds."""
    sys.stdout.write(
        "| cameras | frames | centers, cm | attitudes, degrees | processor seconds |\n"
        "|---|---|---|---|---|\n"
    )
    for num_cameras, num_frames in itertools.product(_NUM_CAMERAS, _NUM_FRAMES):
        rows = np.array([measure(num_cameras, num_frames, seed) for seed in _SEEDS])
        distance, angle, seconds = np.median(rows, axis=0)
        sys.stdout.write(
            f"| {num_cameras} | {num_frames} | {100 * distance:.1f} | {np.degrees(angle):.2f} "
            f"| {seconds:.1f} |\n"
        )


def measure(num_cameras: int, num_frames: int, seed: int) -> tuple[float, float, float]:
    """Estimates a rig from noisy detections and one distance.

    Returns:
        Of the camera that is worst: meters between the centers and radians between the attitudes,
        after laying the rig onto the true one without changing its size; and processor seconds.
    """
    studio = synthetic.Studio(
        num_subjects=1,
        num_clips=2,
        actions=("walking", "turning"),
        rig="ring",
        num_cameras=num_cameras,
        seed=seed,
    )
    clips, true = list(studio), studio.camera
    first, second = clips[0].camera_names[:2]
    known_distance = {(first, second): float(np.linalg.norm(true.center[0] - true.center[1]))}
    start = time.process_time()
    found = extrinsics.estimate(clips, known_distance, num_frames)
    seconds = time.process_time() - start
    moved = reports.align(found.camera, true, reach=_REACH, with_scale=False)
    distance, angle = reports.differences(moved, true)
    return float(distance.max()), float(angle.max()), seconds


if __name__ == "__main__":
    main()
