"""Shows lifted poses as a page to turn and play: `keras-mvlift view lifted.json --open`."""

import argparse
import pathlib
import webbrowser

from keras_mvlift import errors
from keras_mvlift.lifting import pose_clip, pose_comparison
from keras_mvlift.visualization import pages


def run(options: argparse.Namespace) -> int:
    """Writes the page and prints its path; a ValueError says which files do not do."""
    page = options.output
    paths = [options.result, *options.compare]
    clips = {name: pose_clip.read(path) for name, path in zip(_names(paths), paths, strict=True)}
    reference = pose_clip.read(options.reference) if options.reference else None
    if len(clips) == 1 and reference is None:
        (shown,) = clips.values()
    else:
        shown = pose_comparison.combine_clips(clips, reference)
    pages.write_viewer(shown, page, title=" and ".join(clips))
    print(page)
    if options.open:
        webbrowser.open(page.resolve().as_uri())
    return 0


def _names(paths: list[pathlib.Path]) -> list[str]:
    """Names files shortly, but each by its own name."""
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    rule = "name other files"
    errors.require(len(set(names)) >= len(names), "compare", rule, ", ".join(names[1:]))
    return names
