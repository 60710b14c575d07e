"""What `keras-mvlift lift` can be told."""

import argparse
import pathlib

from keras_mvlift import errors, skeletons
from keras_mvlift.cli import arguments
from keras_mvlift.lifting import detected_tracks, pose_clip, tracks_2d_files

VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm")
"""As `films.ENDINGS`, which only the extra `video` can say."""

PICTURE_ENDINGS = (".html", ".mp4", ".gif")
"""Of what is to be looked at."""

ENDINGS = (*pose_clip.ENDINGS, *PICTURE_ENDINGS)
"""Of all that can be written."""

DETECTIONS_ENDING = ".npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    seen = ", ".join(tracks_2d_files.ENDINGS)
    videos = ", ".join(VIDEO_ENDINGS)
    parser.add_argument(
        "input",
        type=pathlib.Path,
        help=f"A video ({videos}), in which MediaPipe finds one person; or 2D joints: a folder of "
        f"OpenPose's JSON, or a file ({seen}).",
    )
    parser.add_argument("--model", help=f"The model: {arguments.MODEL}.")
    parser.add_argument(
        "--server",
        metavar="ADDRESS",
        help="Lift by TensorFlow Serving, grpc://HOST[:PORT][/MODEL] or http://... With it --model "
        "tells the camera of training and a temporal model's frames, and may be left out.",
    )
    parser.add_argument(
        "--output", type=pathlib.Path, required=True, help=f"The file: {', '.join(ENDINGS)}."
    )
    parser.add_argument("--force", action="store_true", help="Overwrite files that are there.")
    _add_input(parser.add_argument_group("input, where it does not tell"))
    _add_camera(parser.add_argument_group("camera, by default one like those of training"))
    _add_result(parser.add_argument_group("result"))
    _add_pictures(parser.add_argument_group("video"))


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--skeleton", choices=skeletons.SKELETONS, help="The joint set.")
    group.add_argument(
        "--min-confidence",
        type=float,
        metavar="C",
        help="Joints less sure count as not seen. By default "
        f"{detected_tracks.MIN_CONFIDENCE:g} in detectors' files, else 0.",
    )
    group.add_argument("--frame-rate", type=float, metavar="HZ", help="Frames per second.")
    group.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        metavar=("WIDTH", "HEIGHT"),
        help="The size of the image in which joints were seen, pixels.",
    )


def _add_camera(group: argparse._ArgumentGroup) -> None:
    camera = group.add_mutually_exclusive_group()
    camera.add_argument("--fov", type=float, metavar="DEGREES", help="Its horizontal field.")
    camera.add_argument(
        "--intrinsics", type=float, nargs=4, metavar=("FX", "FY", "CX", "CY"), help="In pixels."
    )
    camera.add_argument(
        "--calibration",
        type=pathlib.Path,
        metavar="FILE",
        help="A rig's calibration, or its rig.yaml.",
    )
    group.add_argument("--camera", metavar="NAME", help="Which of the calibration's it is.")
    group.add_argument("--unit", choices=errors.UNITS, help="The unit of the calibration.")
    group.add_argument(
        "--up", metavar="AXIS", help="The calibration's axis that is up: z, y, -y and so on."
    )
    group.add_argument(
        "--distortion",
        type=float,
        nargs="+",
        default=[],
        metavar="K1",
        help="With --intrinsics: OpenCV's k1 k2 p1 p2 k3, or the first of them.",
    )


def _add_result(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--space",
        choices=pose_clip.SPACES,
        help="Whose axes. By default the most that the camera tells.",
    )
    group.add_argument(
        "--no-bridge",
        action="store_true",
        help="Leave joints out that were not seen for a few frames, instead of joining the ends.",
    )
    group.add_argument(
        "--keep-sides",
        action="store_true",
        help="Leave legs and arms that jump to the other side and back where they were detected.",
    )
    group.add_argument(
        "--smooth",
        action="store_true",
        help="Smooth over time, without delay (Butterworth, 4 Hz).",
    )
    group.add_argument(
        "--height",
        type=float,
        nargs="+",
        metavar="METERS",
        help="How tall people are, one number for all or one for each; scales poses and places.",
    )
    group.add_argument(
        "--no-steady",
        action="store_true",
        help="Leave sizes and distances as each frame has them, instead of one size for all.",
    )
    group.add_argument(
        "--reference",
        type=pathlib.Path,
        metavar="FILE.trc",
        help="Known poses in the calibration's world. The error is printed, and shown in pages.",
    )


def _add_pictures(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--detections",
        type=pathlib.Path,
        metavar=f"FILE{DETECTIONS_ENDING}",
        help="Keep the 2D joints, to be lifted again without looking for them.",
    )
    group.add_argument(
        "--video",
        type=pathlib.Path,
        metavar="FILE",
        help="What to show below 2D joints that INPUT holds. Where INPUT is a video it is shown.",
    )
    group.add_argument(
        "--images",
        type=int,
        metavar="N",
        help="The most of the video's frames in a page. By default 300; 0 for none.",
    )
