"""MPI-INF-3DHP's joint sets, and where the joints of `H36M_17` lie in them."""

from keras_mvlift import skeletons

ALL_28 = (
    "spine3",
    "spine4",
    "spine2",
    "spine",
    "pelvis",
    "neck",
    "head",
    "head_top",
    "left_clavicle",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "left_hand",
    "right_clavicle",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_foot",
    "left_toe",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_foot",
    "right_toe",
)
"""The joints of the training set's annotations, in their order."""

TEST_17 = (
    "head_top",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "spine",
    "head",
)
"""The joints of the test set's annotations, and of P-STMO's archives, in their order."""

# What this set calls the joints that our names, after Human3.6M's figures, place elsewhere: its
# neck is between the shoulders, its head at the height of the nose.
_OWN_NAMES = {"thorax": "neck", "nose": "head", "head": "head_top"}


def _indices(joints: tuple[str, ...]) -> list[int]:
    return [joints.index(_OWN_NAMES.get(joint, joint)) for joint in skeletons.H36M_17.joints]


H36M_FROM_28 = _indices(ALL_28)
"""Of each joint of `H36M_17`, its index in `ALL_28`."""

H36M_FROM_TEST = _indices(TEST_17)
"""Of each joint of `H36M_17`, its index in `TEST_17`."""

TEST_FROM_28 = [ALL_28.index(joint) for joint in TEST_17]
"""Of each joint of `TEST_17`, its index in `ALL_28`."""

NUM_SCORED = 14

SCORED = tuple(H36M_FROM_TEST.index(joint) for joint in range(NUM_SCORED))
"""The joints that count for PCK and AUC, in the order of the official evaluation, as indices of
`H36M_17`: all but pelvis, spine and head."""
