"""Which color stands for what. They differ in lightness too, so that no color vision mixes them."""

from matplotlib import colors as mpl_colors

from keras_mvlift import skeletons

# Blue and vermilion of Okabe and Ito's palette, and near-black: of the third colors tried it is
# the one that stays farthest from these and the grey in simulated protan, deutan and tritan vision.
LEFT, RIGHT, MIDDLE = "#0072B2", "#D55E00", "#222222"
REFERENCE = "#C4C4C4"
BACKGROUND = "#FFFFFF"
TEXT, FAINT_TEXT, FRAME, GRID = "#222222", "#555555", "#888888", "#EBEBEB"


def of_joint(joint: int, opacity: float = 1.0) -> tuple[float, float, float, float]:
    """Gives the color of a joint of `H36M_17` and of the bone that leads to it, as RGBA."""
    if joint in skeletons.H36M_17.left:
        color = LEFT
    else:
        color = RIGHT if joint in skeletons.H36M_17.right else MIDDLE
    return mpl_colors.to_rgba(color, opacity)
