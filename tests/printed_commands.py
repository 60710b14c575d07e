"""The commands that README and the pages of `docs` print, how each is tried, and files for them."""

import dataclasses
import itertools
import json
import pathlib
import re
import shlex
import shutil
from typing import NamedTuple

import cv2
import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.lifting import pose_clip, tracks_2d_files
from tests.lifting import made_films, people
from tests.visualization import pose_clips

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("docs/*.md"))
DOCUMENTS = [ROOT / "README.md", *PAGES, ROOT / "serving" / "README.md"]
PROGRAMS = "keras-mvlift|tfx|kfp|make|python|docker|echo|scripts/\\S+|[A-Z_]+=\\S+ make"
DEMO = pathlib.Path(pose2sim.demo_root())

ONLY_READ = {
    r"^make test\b": "is the suite itself",
    r"^make setup": "loads 2 GB; tests/setup_test.py runs what needs no network",
    r"make airflow|^scripts/airflow\.sh": "loads 3 GB of Airflow",
    r"^docker ": "needs Docker, and images from a network",
    r"^kfp ": "needs a cluster of Kubeflow",
    r"^python train\.py": "needs two machines",
    r"/data/": "needs licensed data in a folder of the machine; `make demo-h36m` simulates them",
    r"SESSION": "needs the videos of Pose2Sim's demo session, which its package lacks",
    r"benchmarks\.adaptation": "needs clips of AIST++ that no simulation has",
}
"""What is only read by the parser of its program, and why."""

FOR_HOURS = {
    r"--profile (medium|long|full)": "hours or days",
    r"pipeline\.watch": "until it is stopped",
    r"benchmarks\.(studio_model|score_without_labels)": "half an hour or more",
}
"""What `make test-commands` begins and stops after a minute, and how long the whole would take."""

LONG = {
    r"^(make|tfx|python|echo) ": "starts a process, most train",
    r"keras-mvlift train": "a minute or more",
    r"experiments(?! --list)": "minutes",
    r"adapt my_rig --output": "half a minute; the suite runs the same with --model studio",
}
"""What `make test-commands` runs to its end, and why the suite does not."""


class Printed(NamedTuple):
    """A command and the page that prints it."""

    page: str
    line: str

    @property
    def words(self):
        return shlex.split(self.line, comments=True)

    @property
    def way(self):
        """One of the three tables above, the first that has it; None for what the suite runs."""
        tables = (ONLY_READ, FOR_HOURS, LONG)
        return next((each for each in tables if any(map(self.fits, each))), None)

    def fits(self, pattern):
        return re.search(pattern, self.line) is not None

    def __str__(self):
        return f"{self.page}: {self.line}"


def printed(document):
    """Yields the commands of fenced and indented blocks, whole."""
    fence = None
    for line in document.read_text().replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            fence = line if fence is None else None
        elif fence in ("```", "```sh") or (fence is None and line.startswith("    ")):
            found = re.match(rf"\s*(?:\$ )?((?:{PROGRAMS}) .*)", line)
            if found:
                yield Printed(str(document.relative_to(ROOT)), " ".join(found[1].split()))


PRINTED = [command for document in DOCUMENTS for command in printed(document)]


def of_way(way):
    return [command for command in PRINTED if command.way is way]


# After these options comes the name of a file that is written.
WRITES = {"--output", "--html", "--json", "--report", "--detections"}


def once(commands):
    """Returns by which command each is answered for: itself, or the same on a page before.

    Pages' folders are alike. What later commands of its page need files of is run there again.
    """
    answered_by, needed = {}, set()
    for command in reversed(commands):
        page = [other for other in commands if other.page == command.page]
        before = commands[: commands.index(page[0])]
        same = [other for other in before if other.words == command.words]
        written = {(command.page, b) for a, b in itertools.pairwise(command.words) if a in WRITES}
        is_again = bool(same) and not written & needed
        answered_by[command] = same[0] if is_again else command
        if not is_again:
            needed |= {(command.page, word) for word in command.words}
    # The same twice before is answered for by the first, which is answered for by no other.
    return answered_by


def lay_out(folder, num_frames=40):
    """Puts files of the names that pages use into a folder that is there."""
    rig = folder / "my_rig"
    for part in ("calibration", *(f"pose/cam{number}_json" for number in range(1, 5))):
        (rig / part).mkdir(parents=True)
        for file in sorted((DEMO / part).iterdir())[:num_frames]:
            if file.is_file():
                shutil.copy(file, rig / part)
    (folder / "lab").symlink_to(rig)
    shutil.copytree(rig, folder / "recordings" / "first")
    (folder / "detections_json").symlink_to(rig / "pose" / "cam1_json")
    for part in ("calibration/Calib.qca.txt", "opensim/Balancing_for_IK.trc"):
        (folder / pathlib.Path(part).name).symlink_to(DEMO / part)
    (folder / "output" / "mvlift" / "serving" / "mvlift").mkdir(parents=True)
    studio = ROOT / "keras_mvlift" / "models" / "studio"
    (folder / "output" / "mvlift" / "serving" / "mvlift" / "1").symlink_to(studio)
    write_joints(folder)
    ours, theirs, reference = pose_clips.compared().tracks
    for name, track in {"ours": ours, "lifted": ours, "theirs": theirs, "truth": reference}.items():
        pose_clip.write(pose_clips.clip(track), folder / f"{name}.json")


def write_joints(folder):
    """Writes 2D joints of a walk as a camera of 60 degrees and 1920 x 1080 pixels sees it."""
    camera = people.WALK_CAMERA.intrinsics
    focal = 960 / np.tan(np.radians(30))
    seen = (people.walking() - camera[:2, 2]) / camera[[0, 1], [0, 1]] * focal + [960, 540]
    joints = skeletons.COCO_17.joints
    rows = [
        f"{frame},{joint},{x},{y}\n"
        for frame, points in enumerate(seen)
        for joint, (x, y) in zip(joints, points, strict=True)
    ]
    (folder / "tracks.csv").write_text("frame,joint,x,y\n" + "".join(rows))
    tracks = tracks_2d_files.read(folder / "tracks.csv")
    timed = dataclasses.replace(tracks, frame_rate=50.0)
    tracks_2d_files.write_arrays(timed, folder / "tracks.npz")
    boxed = np.concatenate([seen, np.full((*seen.shape[:2], 1), 0.9)], axis=-1)
    listed = [
        {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": points.ravel().tolist()}
        for frame, points in enumerate(boxed)
    ]
    (folder / "anna.json").write_text(json.dumps(listed))


def write_films(folder):
    """Writes a film of a lens of 60 degrees, and one as camera 1 of the recording has it."""
    picture = made_films.full_length()
    # Wide enough for somebody who fills the height to be some meters away.
    wide = np.pad(picture, [(0, 0), (344, 344), (0, 0)], mode="edge")
    made_films.write(folder / "walk.mp4", np.stack(4 * [wide]))
    far = np.pad(picture, [(240, 240), (136, 136), (0, 0)], mode="edge")
    made_films.write(folder / "cam01.mp4", np.stack(4 * [cv2.resize(far, (1088, 1920))]), rate=60)
