import itertools

import numpy as np
import pytest
from matplotlib import colors as mpl_colors

from keras_mvlift import skeletons
from keras_mvlift.visualization import pictures

# Machado et al., A physiologically-based model for simulation of color vision deficiency, 2009,
# severity 1.0, linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
XYZ_FROM_RGB = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)


def _lab(color, vision):
    """CIELAB of a color as somebody sees it."""
    rgb = np.array(mpl_colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISIONS[vision] @ linear, 0, 1)
    xyz = XYZ_FROM_RGB @ seen / XYZ_FROM_RGB.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
def test_colors_stay_apart_in_every_color_vision(vision):
    used = (pictures.LEFT, pictures.RIGHT, pictures.MIDDLE, pictures.REFERENCE_COLOR)
    labs = [_lab(color, vision) for color in used]
    # About 2 is just noticeable; 40 is told apart at a glance.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(labs, 2)) > 38


def test_a_joint_has_the_color_of_its_side():
    named = {
        joint: mpl_colors.to_hex(pictures.joint_color(index)).upper()
        for index, joint in enumerate(skeletons.H36M_17.joints)
    }
    assert {color for joint, color in named.items() if "left" in joint} == {pictures.LEFT}
    assert {color for joint, color in named.items() if "right" in joint} == {pictures.RIGHT}
    rest = {color for joint, color in named.items() if "left" not in joint and "right" not in joint}
    assert rest == {pictures.MIDDLE}


def test_opacity_is_the_colors_fourth_number():
    assert pictures.joint_color(0, 0.25)[3] == 0.25
