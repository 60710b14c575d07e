"""Human3.6M's cameras and lenses, and the checks that hold files against them.

Human3.6M's four cameras: one set of lenses, places that differ from subject to subject.

The figures are those of the release's calibration as the field's public loaders state them. S2, S3
and S4 have no published poses, and their extrinsics are not among these figures.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize
from scipy.spatial import transform

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
"""The cameras' names, in the order of the archives."""

IMAGE_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))
"""Width and height of each camera's images, pixels."""

# Focal lengths and principal point, pixels.
_LENSES = (
    (1145.0494384765625, 1143.7811279296875, 512.54150390625, 515.4514770507812),
    (1149.6756591796875, 1147.5916748046875, 508.8486328125, 508.0649108886719),
    (1149.1407470703125, 1148.7989501953125, 519.8158569335938, 501.40264892578125),
    (1145.5113525390625, 1144.77392578125, 514.9682006835938, 501.88201904296875),
)

# (k1, k2, p1, p2, k3), the order of the release's metadata; the model is the release's own.
DISTORTION = np.array(
    [
        [-0.20709892, 0.24777518, -0.00142447, -0.00097570, -0.00307515],
        [-0.19421363, 0.24040854, -0.00274089, -0.00161903, 0.00681998],
        [-0.20833819, 0.25548801, -0.00076000, 0.00148439, -0.00246050],
        [-0.19838409, 0.21832368, -0.00181336, -0.00058721, -0.00894781],
    ]
)
"""`[4, 5]`, lens distortion `(k1, k2, p1, p2, k3)` of each camera."""

# Per camera: the rotation world from camera as a quaternion (w, x, y, z), the center in mm.
_PLACES = {
    "S1": (
        (0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088),
        (1841.1070556640625, 4955.28466796875, 1563.4454345703125),
        (0.6157187819480896, -0.764836311340332, -0.14833825826644897, 0.11794740706682205),
        (1761.278564453125, -5078.0068359375, 1606.2650146484375),
        (0.14651472866535187, -0.14647851884365082, 0.7653023600578308, -0.6094175577163696),
        (-1846.7777099609375, 5215.04638671875, 1491.972412109375),
        (0.5834008455276489, -0.7853162288665771, 0.14548823237419128, -0.14749594032764435),
        (-1794.7896728515625, -3722.698974609375, 1574.8927001953125),
    ),
    "S5": (
        (0.1467377245426178, -0.162370964884758, -0.7551892995834351, 0.6178938746452332),
        (2097.3916015625, 4880.94482421875, 1605.732421875),
        (0.6159758567810059, -0.7626792192459106, -0.15728192031383514, 0.1189815029501915),
        (2031.7008056640625, -5167.93310546875, 1612.923095703125),
        (0.14291371405124664, -0.12907841801643372, 0.7678384780883789, -0.6110143065452576),
        (-1620.5948486328125, 5171.65869140625, 1496.43701171875),
        (0.5920479893684387, -0.7814217805862427, 0.1274748593568802, -0.15036417543888092),
        (-1637.1737060546875, -3867.3173828125, 1547.033203125),
    ),
    "S6": (
        (0.1337897777557373, -0.15692396461963654, -0.7571090459823608, 0.6198879480361938),
        (1935.4517822265625, 4950.24560546875, 1618.0838623046875),
        (0.6147197484970093, -0.7628812789916992, -0.16174767911434174, 0.11819244921207428),
        (1969.803955078125, -5128.73876953125, 1632.77880859375),
        (0.1529948115348816, -0.13529130816459656, 0.7646096348762512, -0.6112781167030334),
        (-1769.596435546875, 5185.361328125, 1476.993408203125),
        (0.5916101336479187, -0.7804774045944214, 0.12832270562648773, -0.1561593860387802),
        (-1721.668701171875, -3884.13134765625, 1540.4879150390625),
    ),
    "S7": (
        (0.1435241848230362, -0.1631336808204651, -0.7548328638076782, 0.6188824772834778),
        (1974.512939453125, 4926.3544921875, 1597.8326416015625),
        (0.6141672730445862, -0.7638262510299683, -0.1596645563840866, 0.1177929937839508),
        (1937.0584716796875, -5119.7900390625, 1631.5665283203125),
        (0.14550060033798218, -0.12874816358089447, 0.7660516500473022, -0.6127139329910278),
        (-1741.8111572265625, 5208.24951171875, 1464.8245849609375),
        (0.5912848114967346, -0.7821764349937439, 0.12445473670959473, -0.15196487307548523),
        (-1734.7105712890625, -3832.42138671875, 1548.5830078125),
    ),
    "S8": (
        (0.14110587537288666, -0.15589867532253265, -0.7561917304992676, 0.619644045829773),
        (2150.65185546875, 4896.1611328125, 1611.9046630859375),
        (0.6169601678848267, -0.7647668123245239, -0.14846350252628326, 0.11158157885074615),
        (2219.965576171875, -5148.453125, 1613.0440673828125),
        (0.1471444070339203, -0.13377119600772858, 0.7670128345489502, -0.6100369691848755),
        (-1571.2215576171875, 5137.0185546875, 1498.1761474609375),
        (0.5927824378013611, -0.7825870513916016, 0.12147816270589828, -0.14631995558738708),
        (-1476.913330078125, -3896.7412109375, 1547.97216796875),
    ),
    "S9": (
        (0.15540587902069092, -0.15548215806484222, -0.7532095313072205, 0.6199594736099243),
        (2044.45849609375, 4935.1171875, 1481.2275390625),
        (0.618784487247467, -0.7634735107421875, -0.14132238924503326, 0.11933968216180801),
        (1990.959716796875, -5123.810546875, 1568.8048095703125),
        (0.13357827067375183, -0.1367100477218628, 0.7689454555511475, -0.6100738644599915),
        (-1670.9921875, 5211.98583984375, 1528.387939453125),
        (0.5879399180412292, -0.7823407053947449, 0.1427614390850067, -0.14794869720935822),
        (-1696.04345703125, -3827.099853515625, 1591.4127197265625),
    ),
    "S11": (
        (0.15232472121715546, -0.15442320704460144, -0.7547563314437866, 0.6191070079803467),
        (2098.440185546875, 4926.5546875, 1500.278564453125),
        (0.6189449429512024, -0.7600917220115662, -0.15300633013248444, 0.1255258321762085),
        (2083.182373046875, -4912.1728515625, 1561.07861328125),
        (0.14943228662014008, -0.15650227665901184, 0.7681233882904053, -0.6026304364204407),
        (-1609.8153076171875, 5177.3359375, 1537.896728515625),
        (0.5894251465797424, -0.7818877100944519, 0.13991211354732513, -0.14715361595153809),
        (-1590.738037109375, -3854.1689453125, 1578.017578125),
    ),
}

SUBJECTS = tuple(_PLACES)
"""The subjects whose extrinsics are known: all that have poses."""


def camera(subject: str) -> cameras.Camera:
    """Returns the four cameras as they stood for a subject.

    Args:
        subject: One of `SUBJECTS`.

    Returns:
        NumPy arrays, fields `[4, ...]`, in the order of `CAMERAS`; the world has z up.

    Raises:
        ValueError: If the subject's extrinsics are not known.
    """
    errors.require_known("subject", subject, _PLACES)
    places = _PLACES[subject]
    intrinsics = np.zeros((len(CAMERAS), 3, 3))
    for matrix, (fx, fy, cx, cy) in zip(intrinsics, _LENSES, strict=True):
        matrix[:] = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    # SciPy has w last.
    world_from_camera = transform.Rotation.from_quat(np.array(places[::2])[:, [1, 2, 3, 0]])
    center = errors.MILLIMETERS.to_meters(np.array(places[1::2]))
    return cameras.Camera(intrinsics, world_from_camera.inv().as_matrix(), center)


# The lenses of Human3.6M's cameras, in the release's own form of distortion.
#
# It is OpenCV's but for the tangential terms, which lack a factor of 2: half of p1 and p2, and a
# prism for the rest. With the release's coefficients taken for OpenCV's own the two differ by less
# than a pixel, and by nothing on the optical axis.


def opencv_lens(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns OpenCV's form of the release's lens.

    It takes a ray (x, y) with r² = x² + y² to

        x (1 + k1 r² + k2 r⁴ + k3 r⁶ + p1 y + p2 x) + p2 r²
        y (1 + k1 r² + k2 r⁴ + k3 r⁶ + p1 y + p2 x) + p1 r².

    Args:
        coefficients: `[..., 5]`, `(k1, k2, p1, p2, k3)`, no unit.

    Returns:
        `[..., 5]` and `[..., 2]`, coefficients and prism as `lenses.distort` takes them.

    References:
        The camera model of the Human3.6M release's code; VideoPose3D, common/camera.py.
    """
    halved = coefficients * np.array([1.0, 1.0, 0.5, 0.5, 1.0])
    return halved, halved[..., [3, 2]]


# What every array out of a Human3.6M file must be, whatever the file's format.

# Meters. What a pelvis is from the middle of the room's floor, half of a clip at least; generous,
# to find wrong units and not wrong people.
_ROOM_RADIUS = 6.0
_NUM_JOINTS = skeletons.H36M_17.num_joints
# Pixels over which half of the joints seen in a clip must spread, or they are no pixels.
_MIN_SPREAD = 10.0

MAX_CONFIDENCE = 1.2
MIN_CONFIDENCE = -0.05
"""How far confidences may leave [0, 1], as peaks of heat maps do, to be cut back to it."""


class Detections(NamedTuple):
    """What one camera saw in one take.

    Attributes:
        path: The file it comes from.
        field: Where in the file.
        keypoints_2d: `[T, J, 2]`, pixels, with lens distortion; 0 where not seen.
        confidence: `[T, J]`, in [0, 1]; 0 where not seen.
    """

    path: object
    field: str
    keypoints_2d: np.ndarray
    confidence: np.ndarray


def check_pose(path: object, field: str, points: np.ndarray, unit: str) -> np.ndarray:
    """Checks poses read from a file, `[T, J, 3]`, which should by now be in meters.

    Args:
        path: The file.
        field: Where in the file.
        points: What was read, in meters if the file holds what it should.
        unit: The file's unit, for the error.

    Returns:
        The same in double precision.

    Raises:
        RecordingError: If the shape or a value cannot be, or the unit is not what it should be.
    """
    points = check_array(path, field, points, (_NUM_JOINTS, 3))
    sequences.require_human_size(path, field, points, unit)
    distance = np.median(np.linalg.norm(points[:, skeletons.ROOT], axis=-1))
    if distance > _ROOM_RADIUS:
        rule = f"be in {unit} and the world frame, within {_ROOM_RADIUS} m of its origin"
        raise errors.RecordingError(path, field, rule, f"a pelvis {distance:.6g} m away")
    return points


MAX_OFF_PX = 30.0
"""From so far off the projected poses no detector sees joints, of a person 400 pixels tall."""

_MIN_CHECKED_FRAMES, _MAX_CHECKED_FRAMES = 5, 200
# Exchanged cameras, put right, are better by so much.
_BETTER = 1.5


def require_agreement(
    path: object,
    pose_world: np.ndarray,
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    camera: cameras.Camera,
) -> None:
    """Refuses detections that are not of the poses: cameras exchanged, or other joints.

    Joints are compared about the pelvis, as the motion capture of some takes is shifted.

    Args:
        path: The folder, for the error.
        pose_world: `[T, J, 3]`, meters.
        keypoints_2d: `[V, T, J, 2]`, pixels.
        confidence: `[V, T, J]`.
        camera: Fields `[V, ...]`.

    Raises:
        RecordingError: If the poses do not project there; names the order of cameras that fits.
    """
    if len(pose_world) < _MIN_CHECKED_FRAMES:
        # One blunder may be all that there is.
        return
    chosen = np.linspace(0, len(pose_world) - 1, min(len(pose_world), _MAX_CHECKED_FRAMES))
    frame = chosen.round().astype(int)
    each = cameras.Camera(*(np.asarray(field)[:, np.newaxis] for field in camera))
    points = cameras.camera_from_world(pose_world[frame], each)
    image = np.asarray(cameras.project(points, each.intrinsics))
    image, seen = (part - part[..., :1, :] for part in (image, keypoints_2d[:, frame]))
    known = (confidence[:, frame] > 0) & (confidence[:, frame, :1] > 0)
    # off[v, w]: of what camera w saw from where camera v sees the poses.
    distance = np.linalg.norm(image[:, np.newaxis] - seen, axis=-1)
    off = np.array(
        [
            [np.median(d[k]) if k.any() else 0.0 for d, k in zip(row, known, strict=True)]
            for row in distance
        ]
    )
    order = optimize.linear_sum_assignment(off)[1]
    now, then = off.diagonal().mean(), off[np.arange(len(off)), order].mean()
    if now > _BETTER * then and (order != np.arange(len(off))).any():
        rule = "be of the cameras in the order of the poses' files"
        named = ", ".join(str(int(view) + 1) for view in order)
        received = f"{now:.0f} px off, and {then:.0f} px with the cameras in the order {named}"
        raise errors.RecordingError(path, "detections", rule, received)
    if off.diagonal().max() > MAX_OFF_PX:
        rule = f"lie within {MAX_OFF_PX:g} px of the poses' projections"
        received = f"a median of {off.diagonal().max():.0f} px, of other joints or other takes"
        raise errors.RecordingError(path, "detections", rule, received)


def check_detections(
    path: object, field: str, keypoints_2d: np.ndarray, confidence: np.ndarray | None = None
) -> Detections:
    """Checks what one camera saw.

    Args:
        path: The file.
        field: Where in the file.
        keypoints_2d: `[T, J, 2]`, pixels; x and y 0 for a joint that was not found.
        confidence: `[T, J]`; without, 1 for every joint that was found.

    Raises:
        RecordingError: If a shape or value cannot be.
    """
    keypoints_2d = check_array(path, field, keypoints_2d, (_NUM_JOINTS, 2))
    is_found = (keypoints_2d != 0).any(axis=-1)
    if confidence is None:
        confidence = is_found.astype(np.float64)
    else:
        confidence = _confidence(path, f"{field} confidence", confidence)
        if len(confidence) != len(keypoints_2d):
            rule = f"have as many frames as the keypoints, {len(keypoints_2d)}"
            raise errors.RecordingError(path, f"{field} confidence", rule, len(confidence))
    is_seen = (confidence > 0) & is_found
    _check_pixels(path, field, keypoints_2d[is_seen])
    keypoints_2d = np.where(is_seen[..., np.newaxis], keypoints_2d, 0.0)
    return Detections(path, field, keypoints_2d, np.where(is_seen, confidence, 0.0))


def check_array(path: object, field: str, values: object, shape: tuple[int, ...]) -> np.ndarray:
    """Checks an array `[T, *shape]` of finite real numbers; gives it in double precision.

    Raises:
        RecordingError: If it is something else.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        received = getattr(values, "dtype", type(values).__name__)
        raise errors.RecordingError(path, field, "be an array of real numbers", received)
    if values.shape[1:] != shape or not values.size:
        expected = ", ".join(map(str, ("T", *shape)))
        raise errors.RecordingError(path, field, f"have shape ({expected})", values.shape)
    if not np.isfinite(values).all():
        frame = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise errors.RecordingError(path, field, "be finite", f"NaN or infinity, frame {frame}")
    return values.astype(np.float64)


def _confidence(path: object, field: str, confidence: object) -> np.ndarray:
    checked = check_array(path, field, confidence, (_NUM_JOINTS,))
    low, high = checked.min(), checked.max()
    if low < MIN_CONFIDENCE or high > MAX_CONFIDENCE:
        rule = f"lie in [0, 1], or in [{MIN_CONFIDENCE}, {MAX_CONFIDENCE}] to be cut to it"
        raise errors.RecordingError(path, field, rule, f"{low:.6g} to {high:.6g}")
    return np.clip(checked, 0.0, 1.0)


def _check_pixels(path: object, field: str, seen: np.ndarray) -> None:
    if not len(seen):
        return
    size = np.max(IMAGE_SIZES)
    middle = np.median(seen, axis=0)
    spread = np.diff(np.percentile(seen, [25, 75], axis=0), axis=0).max()
    is_inside = ((middle >= 0) & (middle <= size)).all()
    if not is_inside or spread < _MIN_SPREAD:
        rule = f"be in pixels of images of {size} x {size}"
        received = f"half of the joints within {spread:.6g} around {middle.round(3).tolist()}"
        raise errors.RecordingError(path, field, rule, received)
