"""Runs the commands that README and the pages of `docs` print, or reads them with what reads them.

What takes a moment runs as it is printed, in a folder where lie the files that it names; the error
stream must stay empty. The rest is read by the parser of its program.
"""

import argparse
import importlib.util
import itertools
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.cli import commands, main
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.lifting import pose_clip
from pipeline import local
from tests.lifting import made_films, people
from tests.visualization import pose_clips

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("docs/*.md"))
DOCUMENTS = [ROOT / "README.md", *PAGES, ROOT / "serving" / "README.md"]
PROGRAMS = "keras-mvlift|tfx|kfp|make|python|docker|scripts/\\S+|[A-Z_]+=\\S+ make"
DEMO = pathlib.Path(pose2sim.demo_root())

# What is only read, and why.
ONLY_READ = {
    r"experiments(?!.* --list)": "trains for minutes, hours or days",
    r"keras-mvlift train": "a minute; the pipeline's own tests run it",
    r"--server": "needs a server",
    r"cam01\.mp4": "needs the recording's video, which the package of the recording lacks",
    r"adapt my_rig --output": "half a minute; the same is run with --model studio",
}
# Programs of others, and of the reader.
FOREIGN = {"docker", "kfp", "python train.py"}


class Printed(NamedTuple):
    """A command and the page that prints it."""

    page: str
    line: str

    @property
    def words(self):
        return shlex.split(self.line, comments=True)

    @property
    def is_run(self):
        is_ours = self.words[0] == "keras-mvlift"
        return is_ours and not any(re.search(pattern, self.line) for pattern in ONLY_READ)


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
RUN = [command for command in PRINTED if command.is_run]

RUNNER = """
import json, os, shlex, sys, tempfile
from keras_mvlift.cli import main
told = []
for folder, line in json.load(sys.stdin):
    os.chdir(folder)
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile("w+") as output:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(output.fileno(), 2)
        try:
            status = main.main(shlex.split(line, comments=True)[1:])
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(kept[0], 1), os.dup2(kept[1], 2)
        output.seek(0)
        told.append([status, output.read()])
json.dump(told, sys.stdout)
"""


def test_commands_of_both_kinds_of_block_are_found():
    assert len(PRINTED) > 50
    assert {"README.md", "docs/studio.md", "docs/rigs.md"} <= {command.page for command in RUN}
    assert {command.words[1] for command in RUN} == {*commands.COMMANDS} - {"train"}


def test_what_is_only_read_is_printed_somewhere():
    for pattern in ONLY_READ:
        assert any(re.search(pattern, command.line) for command in PRINTED), pattern


def lay_out(folder):
    """Puts files of the names that pages use into a folder."""
    folder.mkdir()
    rig = folder / "my_rig"
    for part in ("calibration", *(f"pose/cam{number}_json" for number in range(1, 5))):
        files = sorted((DEMO / part).iterdir())
        (rig / part).mkdir(parents=True)
        for file in files[:40]:
            if file.is_file():
                shutil.copy(file, rig / part)
    (folder / "lab").symlink_to(rig)
    (folder / "recordings").mkdir()
    (folder / "recordings" / "first").symlink_to(rig)
    (folder / "detections_json").symlink_to(rig / "pose" / "cam1_json")
    (folder / "Calib.qca.txt").symlink_to(DEMO / "calibration" / "Calib.qca.txt")
    (folder / "output" / "mvlift" / "serving" / "mvlift").mkdir(parents=True)
    studio = ROOT / "keras_mvlift" / "models" / "studio"
    (folder / "output" / "mvlift" / "serving" / "mvlift" / "1").symlink_to(studio)
    shutil.copytree(ROOT / "serving", folder / "serving")
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
    boxed = np.concatenate([seen, np.full((*seen.shape[:2], 1), 0.9)], axis=-1)
    listed = [
        {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": points.ravel().tolist()}
        for frame, points in enumerate(boxed)
    ]
    (folder / "anna.json").write_text(json.dumps(listed))


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


def test_a_command_is_run_again_only_where_its_files_are_needed():
    lift, view = "keras-mvlift lift a --output b", "keras-mvlift view b"
    first, again, needed, needs, seen = (
        Printed(page, line)
        for page, line in [("1", lift), ("2", lift), ("3", lift), ("3", view), ("4", view)]
    )
    answered_by = once([first, again, needed, needs, seen])
    assert answered_by == {first: first, again: first, needed: needed, needs: needs, seen: needs}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Runs what is run, page by page, in one process; gives status and errors of each command."""
    root, requests, answered_by = tmp_path_factory.mktemp("pages"), [], once(RUN)
    run = [command for command in RUN if answered_by[command] == command]
    for page in dict.fromkeys(command.page for command in run):
        folder = root / page.replace("/", "_")
        lay_out(folder)
        lines = [command.line for command in run if command.page == page]
        if any("walk.mp4" in line for line in lines):
            pytest.importorskip("mediapipe", reason="MediaPipe comes with the extra `video`.")
            # Wide enough for somebody seen by a lens of 60 degrees to be some meters away.
            picture = np.pad(made_films.full_length(), [(0, 0), (344, 344), (0, 0)], mode="edge")
            made_films.write(folder / "walk.mp4", np.stack(4 * [picture]))
        requests += [[str(folder), line] for line in lines]
    environment = {"PATH": "/usr/bin:/bin", "BROWSER": "true", "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    found = dict(zip(run, json.loads(told.stdout), strict=True))
    return {command: found[answered_by[command]] for command in RUN}


@pytest.mark.e2e
@pytest.mark.parametrize("command", RUN, ids=lambda command: f"{command.page}: {command.line}")
def test_a_command_runs_as_it_is_printed_and_complains_of_nothing(results, command):
    status, said = results[command]
    assert said == ""
    assert status == 0


@pytest.fixture
def parsed(monkeypatch):
    """Has programs end as soon as they have read their arguments."""

    class ParsedError(Exception):
        pass

    def parse(self, *arguments):
        read(self, *arguments)
        raise ParsedError

    read = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    return pytest.raises(ParsedError)


@pytest.mark.parametrize(
    "command",
    [command for command in PRINTED if not command.is_run],
    ids=lambda command: f"{command.page}: {command.line}",
)
def test_what_is_not_run_is_read_by_its_program(command, parsed, monkeypatch):
    program, *words = command.words
    if program == "keras-mvlift":
        with parsed:
            main.main(words)
    elif program == "tfx":
        check_tfx(words, parsed)
    elif program == "python" and words[0] == "-m":
        monkeypatch.setattr(sys, "argv", words[1:])
        module = importlib.import_module(words[1])
        with parsed:
            module.main(*([words[2:]] if words[1].startswith("pipeline.") else []))
    elif program.startswith("scripts/"):
        assert (ROOT / program).is_file()
    elif "make" in command.words:
        assert command.words[command.words.index("make") + 1] in make_targets()
    else:
        assert any(command.line.startswith(name) for name in FOREIGN)


def check_tfx(words, parsed):
    """Reads what our option of `tfx run create` and the parameters of our pipeline take."""
    assert words[:2] == ["run", "create"]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--pipeline")
    parser.add_argument("--runtime_parameter", action="append", default=[])
    options, unknown = parser.parse_known_args(words[2:])
    assert (unknown, (ROOT / options.pipeline).is_file()) == ([], True)
    with parsed:
        local.parse([f"--{parameter}" for parameter in options.runtime_parameter])


def make_targets():
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_a_mistyped_option_is_read_as_one(parsed):
    with pytest.raises(SystemExit, match="2"):
        main.main(["lift", "walk.mp4", "--model", "studio", "--ouput", "walk.html"])
    with pytest.raises(SystemExit, match="2"):
        check_tfx(
            shlex.split("run create --pipeline pipeline/local.py --runtime_parameter x=1"), parsed
        )


@pytest.mark.parametrize("page", [path.name for path in PAGES])
def test_commands_in_sentences_exist_with_their_options(page):
    text = (ROOT / "docs" / page).read_text()
    for line in re.findall(r"`(keras-mvlift [^`]+|make [^`]+|python -m [^`]+)`", text):
        program, *words = line.split()
        if program == "make":
            assert words[0] in make_targets(), line
        elif program == "python":
            assert importlib.util.find_spec(words[1]), line
        elif not words[0].startswith("--"):
            parser = argparse.ArgumentParser()
            commands.COMMANDS[words[0]].add_arguments(parser)
            known = {name for action in parser._actions for name in action.option_strings}
            assert {word for word in words if word.startswith("--")} <= known, line
