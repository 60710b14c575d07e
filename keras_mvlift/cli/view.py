"""Shows lifted poses as a page to turn and play: `keras-mvlift view lifted.json --open`."""

import argparse
import pathlib
import webbrowser

from keras_mvlift.lifting import pose_clip, pose_comparison
from keras_mvlift.visualization import pages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "result", type=pathlib.Path, help="poses as .json or .npz, as lifting wrote"
    )
    parser.add_argument(
        "--output", type=pathlib.Path, metavar="PAGE", help="the page; by default beside RESULT"
    )
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    parser.add_argument(
        "--compare",
        nargs="+",
        type=pathlib.Path,
        default=[],
        metavar="OTHER",
        help="results to show with it, such as another model's",
    )
    parser.add_argument(
        "--reference", type=pathlib.Path, metavar="FILE", help="poses to judge them by"
    )


def run(options: argparse.Namespace) -> int:
    """Writes the page and prints its path.

    Raises:
        RecordingError: If a file cannot be read.
        ValueError: If the files do not go together, or the page is no .html.
        FileNotFoundError: If the folder to write to is not there.
    """
    page = options.output or options.result.with_suffix(".html")
    _require_page(page)
    paths = [options.result, *options.compare]
    clips = {name: pose_clip.read(path) for name, path in zip(_names(paths), paths, strict=True)}
    reference = pose_clip.read(options.reference) if options.reference else None
    pages.write_viewer(_combined(clips, reference), page, title=" and ".join(clips))
    print(page)
    if options.open:
        webbrowser.open(page.resolve().as_uri())
    return 0


def _combined(
    clips: dict[str, pose_clip.PoseClip], reference: pose_clip.PoseClip | None
) -> pose_clip.PoseClip:
    if len(clips) == 1 and reference is None:
        return next(iter(clips.values()))
    return pose_comparison.combine_clips(clips, reference)


def _names(paths: list[pathlib.Path]) -> list[str]:
    """Names files shortly, but each by its own name."""
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise ValueError(f"`compare` must name other files. Received: {', '.join(names[1:])}.")
    return names


def _require_page(page: pathlib.Path) -> None:
    if page.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"`output` must end in .html. Received: {page}.")
    if not page.parent.is_dir():
        raise FileNotFoundError(f"{page.parent} must be a folder to write {page.name} to.")
