"""A lab's own rig, simulated: studio clips written out in each format that `RigSource` reads.

python -m tests.datasets.rigs.simulated_rigs FOLDER --detections alphapose   writes one to look at
"""

import argparse
import dataclasses
import json
import pathlib
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import tomli_w
import yaml
from scipy.spatial import transform

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import calibration_files, calibrations, manifests
from keras_mvlift.geometry import cameras, lenses
from keras_mvlift.studio import filming, synthetic
from tests import bodies

FRAME_RATE = 50.0
EPOCH = 1.7e9
"""The time stamp of each clip's first frame, seconds, as computers' clocks give it."""
JOINS = ("number", "first_frame", "timestamps")
"""By what streams can be joined."""
LOST_SLOT = 2
"""The clip's frame that the second camera loses."""

# Of radial and tangential coefficients; as cheap lenses are.
LENS_SPREAD = (0.08, 0.05, 5e-4, 5e-4, 0.01)
NOISE_PX = 2.0
MISSING_RATE = 0.03
# How many frames earlier than the clip each next camera starts.
HEAD_START = 3
# Of a frame period; less than half, so that each frame stays the nearest.
CLOCK_JITTER = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulatedRig:
    """What `write_rig` writes.

    Args:
        calibration_format: Of the manifest's `calibration`.
        detection_format: Of the manifest's `detections`.
        skeleton: The detector's joint set.
        up: The axis of the calibration's world that points up.
        joined_by: `"number"` where streams start together and frames are numbered alike,
            `"first_frame"` where each camera started at another moment, `"timestamps"` where each
            has its own clock, and the last half the frame rate.
        num_cameras: `V`, 2 or more.
        num_clips: If there are several, the last is for testing, and the first camera did not
            film it.
        num_frames: `T`, of each clip.
        num_people: Who are filmed together in each clip; with several nobody stands by, and there
            is no reference.
        seed: Not negative.
    """

    calibration_format: str = "pose2sim"
    detection_format: str = "openpose"
    skeleton: str = "body_25b"
    up: str = "z"
    joined_by: str = "number"
    num_cameras: int = 3
    num_clips: int = 2
    num_frames: int = 20
    num_people: int = 1
    seed: int = 0


class Stream(NamedTuple):
    """The frames of one camera.

    Attributes:
        slots: `[N]`, the clip's frame that each shows; below 0 before the clip.
        is_kept: `[N]`, whether the detector looked at it.
        view: The manifest's, without the path.
        seconds: `[N]`, time stamps; empty for none.
    """

    slots: np.ndarray
    is_kept: np.ndarray
    view: dict
    seconds: np.ndarray


def write_rig(root, **options):
    """Writes a rig with its manifest below a folder; options as of `SimulatedRig`.

    In frames with an even number a bystander is seen too, less surely; one frame of the second
    camera is lost; some joints are missed.

    Returns:
        The clips as they are to be read back, before any rounding; those of people filmed together
        one after the other, in any order.
    """
    settings = SimulatedRig(**options)
    folder = pathlib.Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    studio = synthetic.Studio(
        num_subjects=settings.num_clips * settings.num_people,
        num_clips=1,
        num_frames=settings.num_frames,
        frame_rate=FRAME_RATE,
        rig="ring",
        num_cameras=settings.num_cameras,
        seed=settings.seed,
    )
    rig = with_lenses(studio.camera, settings)
    turned = rig._replace(camera=calibrations.turn_camera_back(rig.camera, settings.up))
    described = CALIBRATION_WRITERS[settings.calibration_format](folder, turned)
    names, together = studio.clips(), settings.num_people
    written = [
        write_clip(
            folder,
            settings,
            rig,
            [studio.read(name) for name in names[index * together :][:together]],
            is_last=0 < index == settings.num_clips - 1,
        )
        for index in range(settings.num_clips)
    ]
    manifest = {
        "version": 1,
        "frame_rate": FRAME_RATE,
        "calibration": {"format": settings.calibration_format, "up": settings.up} | described,
        "detections": {"format": settings.detection_format, "skeleton": settings.skeleton},
        "cameras": list(rig.names),
        "clips": [entry for entry, _ in written],
    }
    (folder / manifests.FILE_NAMES[0]).write_text(yaml.safe_dump(manifest, sort_keys=False))
    return [clip for _, clips in written for clip in clips]


def with_lenses(camera, settings):
    rng = sequences.seeded_generator(settings.seed, "lenses")
    names = tuple(f"cam_{index + 1}" for index in range(settings.num_cameras))
    distortion = rng.normal(0.0, LENS_SPREAD, (settings.num_cameras, len(LENS_SPREAD)))
    sizes = np.tile(np.array(filming.IMAGE_SIZE, float), (settings.num_cameras, 1))
    return calibrations.Calibration(names, camera, distortion, sizes)


def write_clip(folder, settings, rig, filmed, is_last):
    """Writes a clip's files; gives its entry in the manifest, and what is to be read back."""
    first = filmed[0]
    rng = sequences.seeded_generator(settings.seed, "detections", first.name)
    skeleton = skeletons.by_name(settings.skeleton)
    detected = [detect(person, skeleton, rng) for person in filmed]
    bent = np.stack([through_lenses(*each, rig) for each in detected], axis=2)
    base = folder / first.name
    base.mkdir()
    is_seen = np.zeros(bent.shape[:2], bool)
    views = {}
    for index, name in enumerate(rig.names):
        if is_last and index == 0:
            continue
        stream = film(settings, index, rng)
        crowds = people_in_stream(stream, bent[index], rng)
        written = DETECTION_WRITERS[settings.detection_format](base / name, crowds)
        views[name] = {"path": f"{first.name}/{written}"} | stream.view
        if len(stream.seconds):
            np.savetxt(base / f"{name}.csv", stream.seconds, "%.9f", header="seconds", comments="")
            views[name]["timestamps"] = f"{first.name}/{name}.csv"
        is_seen[index, stream.slots[stream.is_kept & (stream.slots >= 0)]] = True
    return entry(settings, folder, first, views, is_last), [
        expected(settings, rig, person, ideal, np.where(is_seen[..., np.newaxis], confidence, 0.0))
        for person, (ideal, confidence) in zip(filmed, detected, strict=True)
    ]


def detect(filmed, skeleton, rng):
    """Returns keypoints `[V, T, K, 2]` of ideal lenses, and confidence, 0 where one is missed."""
    points = bodies.joints(np.asarray(filmed.pose_world), skeleton)
    exact = cameras.project_from_world(points, cameras.expand(filmed.camera, -1))
    ideal = exact + rng.normal(0.0, NOISE_PX, exact.shape)
    confidence = rng.uniform(0.3, 0.95, exact.shape[:-1])
    return ideal, np.where(rng.random(confidence.shape) < MISSING_RATE, 0.0, confidence)


def through_lenses(ideal, confidence, rig):
    """Returns x and y as the lenses bend them, and confidence, `[V, T, K, 3]`."""
    bent = np.where(confidence[..., np.newaxis] > 0, lenses.distort(ideal, *rig.lens), 0.0)
    return np.concatenate([bent, confidence[..., np.newaxis]], axis=-1)


def film(settings, index, rng):
    """Lets a camera film a clip; with time stamps the last camera has half the frame rate."""
    slots, view, seconds = np.arange(settings.num_frames), {}, np.zeros(0)
    if settings.joined_by != "number":
        slots = np.arange(-HEAD_START * index, settings.num_frames)
    if settings.joined_by == "first_frame":
        view = {"first_frame": HEAD_START * index}
    if settings.joined_by == "timestamps":
        slots = slots[slots % 2 == 0] if index == settings.num_cameras - 1 else slots
        seconds = (
            EPOCH + (slots + rng.uniform(-CLOCK_JITTER, CLOCK_JITTER, len(slots))) / FRAME_RATE
        )
    return Stream(slots, (slots != LOST_SLOT) | (index != 1), view, seconds)


def people_in_stream(stream, seen, rng):
    """Returns frame numbers, each with who is seen, `[P, K, 3]`, of people `[T, M, K, 3]`.

    Before the clip they stand ready for it. Several come in any order; beside a lone person a less
    sure bystander is seen in even frames.
    """
    numbers = np.flatnonzero(stream.is_kept).tolist()
    seen = seen[np.maximum(stream.slots[stream.is_kept], 0)]
    if seen.shape[1] > 1:
        order = rng.permuted(np.tile(np.arange(seen.shape[1]), (len(seen), 1)), axis=1)
        mixed = np.take_along_axis(seen, order[..., np.newaxis, np.newaxis], axis=1)
        return list(zip(numbers, mixed, strict=True))
    aside, unsure = np.array([40.0, -25.0, 0.0]), np.array([1.0, 1.0, 0.5])
    both = np.concatenate([(seen + aside) * unsure, seen], axis=1)
    return [(number, crowd[number % 2 :]) for number, crowd in zip(numbers, both, strict=True)]


def entry(settings, folder, filmed, views, is_last):
    """Writes a clip's reference; gives its entry in the manifest."""
    if settings.num_people == 1:
        about = {"reference": f"{filmed.name}/reference.npz"}
        turned = calibrations.turn_points_back(np.asarray(filmed.pose_world), settings.up)
        np.savez_compressed(folder / about["reference"], pose_world=turned)
    else:
        about = {"people": settings.num_people}
    told = {
        "name": filmed.name,
        "subject": filmed.subject,
        "action": filmed.action,
        "test": is_last,
        "num_frames": settings.num_frames,
        "views": views,
    }
    return told | about | ({"start": EPOCH} if settings.joined_by == "timestamps" else {})


def expected(settings, rig, filmed, ideal, seen):
    """Returns the clip as it is to be read back."""
    converter = skeletons.Converter(skeletons.by_name(settings.skeleton).joints)
    confidence = converter.confidence(seen)
    is_seen = confidence[..., np.newaxis] > 0
    return dataclasses.replace(
        filmed,
        camera_names=rig.names,
        keypoints_2d=np.where(is_seen, converter.keypoints(ideal), 0.0),
        confidence=confidence,
        distortion=rig.distortion,
    )


# Detections as the programs of each format write them, beside a path; each gives the name of what
# it wrote. OpenPose writes six digits; the same of the others keeps their files small.
DIGITS = 4


def openpose(folder, crowds):
    target = folder.with_name(f"{folder.name}_json")
    target.mkdir(parents=True)
    for number, persons in crowds:
        told = [{"person_id": [-1], "pose_keypoints_2d": flat(person)} for person in persons]
        path = target / f"{folder.name}_{number:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": told}))
    return target.name


def alphapose(folder, crowds):
    content = [
        {
            "image_id": f"{number}.jpg",
            "category_id": 1,
            "keypoints": flat(person),
            "score": float(person[:, 2].sum()),
            "box": box(person),
            "idx": [float(index)],
        }
        for number, persons in crowds
        for index, person in enumerate(persons)
    ]
    return write_json(folder, content)


def mmpose(folder, crowds):
    content = [
        {
            "frame_id": number,
            "instances": [
                {
                    "keypoints": np.round(person[:, :2], DIGITS).tolist(),
                    "keypoint_scores": np.round(person[:, 2], DIGITS).tolist(),
                    "bbox": [box(person)],
                    "bbox_score": 0.9,
                }
                for person in persons
            ],
        }
        for number, persons in crowds
    ]
    return write_json(folder, content)


def rtmlib(folder, crowds):
    """As arrays, with as many people in each frame as there are in the fullest."""
    most = max(len(persons) for _, persons in crowds)
    padded = np.zeros((len(crowds), most, crowds[0][1].shape[1], 3))
    for row, (_, persons) in zip(padded, crowds, strict=True):
        row[: len(persons)] = persons
    target = folder.with_name(f"{folder.name}.npz")
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        target,
        frames=np.array([number for number, _ in crowds]),
        keypoints=padded[..., :2].astype(np.float32),
        scores=padded[..., 2].astype(np.float32),
    )
    return target.name


def write_json(folder, content):
    target = folder.with_name(f"{folder.name}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content))
    return target.name


def flat(person):
    return np.round(person, DIGITS).ravel().tolist()


def box(person):
    return [*person[:, :2].min(axis=0).tolist(), *person[:, :2].max(axis=0).tolist()]


def ultralytics(folder, crowds):
    target = folder.with_name(f"{folder.name}_yolo")
    target.mkdir(parents=True)
    for number, persons in crowds:
        points = [np.round(person.T, DIGITS).tolist() for person in persons]
        people = [
            {"name": "person", "keypoints": {"x": x, "y": y, "visible": v}} for x, y, v in points
        ]
        (target / f"{number:06d}.json").write_text(json.dumps(people))
    return target.name


DETECTION_WRITERS = {
    "openpose": openpose,
    "alphapose": alphapose,
    "mmpose": mmpose,
    "rtmlib": rtmlib,
    "ultralytics": ultralytics,
}

# Calibrations of cameras called `cam_<n>`, as the programs of each format write them; each gives
# the manifest's `calibration`.
SUBPIXELS = 64.0
QUALISYS_LENS = (
    *("radialDistortion1", "radialDistortion2"),
    *("tangentalDistortion1", "tangentalDistortion2", "radialDistortion3"),
)


def camera_tables(calibration, unit):
    """Returns the numbers that the TOML formats share, by camera."""
    return {
        table.pop("name"): table | {"size": [int(side) for side in table["size"]]}
        for table in calibration_files.to_tables(calibration, unit)
    }


def pose2sim(folder, calibration):
    calibration_files.write_toml(folder / "Calib.toml", calibration)
    return {"file": "Calib.toml"}


def anipose(folder, calibration):
    """As aniposelib, which has the unit of the board it was shown: millimeters, mostly."""
    tables = {
        f"cam_{index}": {"name": name, **table}
        for index, (name, table) in enumerate(
            camera_tables(calibration, errors.MILLIMETERS).items()
        )
    }
    metadata = {"metadata": {"adjusted": False, "error": 0.31}}
    (folder / "calibration.toml").write_text(tomli_w.dumps(tables | metadata))
    return {"file": "calibration.toml", "unit": "mm"}


def caliscope(folder, calibration):
    """As caliscope, whose cameras are numbers; a camera that is ignored is among them."""
    tables = {"0": {"port": 0, "rotation_count": 0, "ignore": True}}
    for name, table in camera_tables(calibration, errors.METERS).items():
        port = name.removeprefix("cam_")
        about = {"port": int(port), "rotation_count": 0, "error": 0.4, "ignore": False}
        tables[port] = about | table
    content = {"cameras": tables, "charuco": {"columns": 4, "rows": 5}}
    (folder / "camera_array.toml").write_text(tomli_w.dumps(content))
    return {"file": "camera_array.toml"}


def qualisys(folder, calibration):
    (folder / "Calib.qca.txt").write_text(qualisys_text(calibration))
    return {"file": "Calib.qca.txt"}


def qualisys_text(calibration, corner=(0, 0)):
    root = ElementTree.Element("calibration")
    group = ElementTree.SubElement(root, "cameras")
    for index, name in enumerate(calibration.names):
        element = ElementTree.SubElement(group, "camera", serial=name, active="1")
        for tag, values in qualisys_values(calibration, index, corner).items():
            attributes = {key: repr(float(value)) for key, value in values.items()}
            ElementTree.SubElement(element, tag, attributes)
    return ElementTree.tostring(root, "unicode", xml_declaration=True)


def qualisys_values(calibration, index, corner):
    intrinsics, rotation, center = (np.asarray(value)[index] for value in calibration.camera)
    # Its cameras look along -z with y up.
    turned = rotation * [[1.0], [-1.0], [-1.0]]
    transforms = {f"r{i + 1}{j + 1}": turned[i, j] for i, j in np.ndindex(3, 3)}
    place = dict(zip("xyz", errors.MILLIMETERS.from_meters(center), strict=True))
    left, top = corner
    box = (left, top, *(np.add(corner, calibration.image_sizes[index]) - 1))
    return {
        "fov_video": dict(zip(("left", "top", "right", "bottom"), box, strict=True)),
        "transform": place | transforms,
        "intrinsic": {
            "focalLengthU": SUBPIXELS * intrinsics[0, 0],
            "focalLengthV": SUBPIXELS * intrinsics[1, 1],
            "centerPointU": SUBPIXELS * (intrinsics[0, 2] + left),
            "centerPointV": SUBPIXELS * (intrinsics[1, 2] + top),
            **dict(zip(QUALISYS_LENS, calibration.distortion[index], strict=True)),
        },
    }


def opencv(folder, calibration):
    """As OpenCV's FileStorage, a file a camera."""
    (folder / "intrinsics").mkdir()
    for name, table in camera_tables(calibration, errors.METERS).items():
        width, height = table["size"]
        matrices = {
            "camera_matrix": table["matrix"],
            "distortion_coefficients": [table["distortions"]],
            "R": transform.Rotation.from_rotvec(table["rotation"]).as_matrix(),
            "T": np.reshape(table["translation"], (3, 1)),
        }
        lines = ["%YAML:1.0", "---", f"image_width: {width:.0f}", f"image_height: {height:.0f}"]
        for key, matrix in matrices.items():
            rows, columns = np.shape(matrix)
            data = ", ".join(repr(float(value)) for value in np.ravel(matrix))
            lines += [f"{key}: !!opencv-matrix", f"   rows: {rows}", f"   cols: {columns}"]
            lines += ["   dt: d", f"   data: [ {data} ]"]
        (folder / "intrinsics" / f"{name}.yml").write_text("\n".join(lines) + "\n")
    return {"file": "intrinsics"}


CALIBRATION_WRITERS = {
    "pose2sim": pose2sim,
    "anipose": anipose,
    "caliscope": caliscope,
    "qualisys": qualisys,
    "opencv": opencv,
}


def main():
    """Writes what the command line asks for."""
    parser = argparse.ArgumentParser(description="Writes a made-up rig's files.")
    parser.add_argument("folder")
    parser.add_argument("--calibration", choices=CALIBRATION_WRITERS, default="pose2sim")
    parser.add_argument("--detections", choices=DETECTION_WRITERS, default="openpose")
    parser.add_argument("--skeleton", choices=skeletons.SKELETONS, default="body_25b")
    given = parser.parse_args()
    write_rig(
        given.folder,
        calibration_format=given.calibration,
        detection_format=given.detections,
        skeleton=given.skeleton,
    )


if __name__ == "__main__":
    main()
