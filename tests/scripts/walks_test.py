import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "walks.py"


def walk(*names):
    return subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPT, *names], capture_output=True, text=True
    )


def test_a_reader_opens_few_files():
    done = walk("step", "lift", "records")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [line.split(":")[0] for line in lines] == ["step", "lift", "records"]
    assert "keras_mvlift/training/multi_view_lifter.py" in done.stdout


def test_an_unknown_walk_is_refused_by_name():
    done = walk("nowhere")
    assert done.returncode == 2
    assert "`walks` must be some of step, lift, records, run. Received: nowhere." in done.stderr
