"""Photographs every page, report and film, narrow and wide, light and dark, to be looked at.

    python scripts/screenshots.py             into output/screenshots
    python scripts/screenshots.py rig poses   those whose names begin so

The content is made up, but for what is in `output/` of a run of the demo.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile

from PIL import Image
from playwright import sync_api

from keras_mvlift.untrusted import files
from keras_mvlift.visualization import pose_movie
from tests.visualization import browser, sample_pages

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "output" / "screenshots"
WIDTHS = {390: 844, 1440: 900}


def main() -> int:
    """Writes the pictures, prints what went wrong on the pages, and fails if anything did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of names; all without")
    chosen = tuple(parser.parse_args().names)
    binary = browser.find()
    if binary is None:
        print("No Chromium found: scripts/browser.sh fetches one.", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    troubles = []
    with tempfile.TemporaryDirectory() as folder:
        paths = sample_pages.write(pathlib.Path(folder)) + films(pathlib.Path(folder))
        with browser.started(binary) as chromium:
            for path in paths:
                if path.stem.startswith(chosen or ""):
                    troubles += photograph(chromium, path)
    print(*troubles, f"Written to {FOLDER}.", sep="\n")
    return 1 if troubles else 0


def films(folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes a page for the first frame of each film, and for the picture of the last run."""
    shown = {}
    for name, clip in {
        "camera": sample_pages.from_camera(8),
        "around": sample_pages.rooted(),
    }.items():
        picture = next(pose_movie.draw_frames(clip, [0], (960, 540), "walk.mp4"))
        Image.fromarray(picture).save(folder / f"{name}.png")
        shown[f"film-{name}"] = folder / f"{name}.png"
    last = ROOT / "output" / "mvlift" / "picture.png"
    if last.is_file():
        shown["picture"] = shutil.copy(last, folder)
    for name, picture in shown.items():
        image = f"<img alt='{name}' src='{pathlib.Path(picture).name}' style='max-width:100%'>"
        files.write_text(
            folder / f"{name}.html", f"<!DOCTYPE html><html lang=en><title>{name}</title>{image}"
        )
    return [folder / f"{name}.html" for name in shown]


def photograph(chromium: sync_api.Browser, path: pathlib.Path) -> list[str]:
    """Photographs a page in four ways; returns what its console said."""
    found = []
    for width, height in WIDTHS.items():
        for scheme in ("light", "dark"):
            page, troubles = browser.show(chromium, path, width, height, is_dark=scheme == "dark")
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                found.append(f"{path.stem} is {wide} pixels wide in a window of {width}.")
            page.screenshot(path=FOLDER / f"{path.stem}-{width}-{scheme}.png", full_page=True)
            found += [f"{path.stem}: {trouble}" for trouble in troubles]
            page.context.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
