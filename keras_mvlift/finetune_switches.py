"""The second stage's switches: what the paper does not have. Each is off unless asked for."""

import dataclasses

from keras_mvlift import config_rules

IMAGE_SPACES = ("pixels", "rays")
# Meters. The slope of 1 / z there is a 25th of that at ten centimeters: where nothing is clipped,
# one stray point behind a camera would outweigh all others for hundreds of steps.
LEAST_DEPTH = 0.5
KERNELS = ("geman_mcclure", "cauchy", "huber")

# Those that only a pose compared with all views of its instant can have.
_OF_ALL_VIEWS = (
    "reprojection_weight",
    "flip_augmentation",
    "robust_steps",
    "robust_loss",
    "gauss_newton_steps",
    "agreement_weighting",
    "triangulation_weight",
    "symmetry_weight",
    "bone_length_weight",
    "refine_extrinsics",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneSwitches(config_rules.Json):
    """What may be changed about eq. (7); docs/method.md derives each.

    All but `image_space` and `least_depth` need `views="all"`. Three weigh losses that are
    lengths, which count as the pixels that they would be at the person's distance: 1 weighs them
    like a view's error.

    Attributes:
        reprojection_weight: Of eqs. (2) and (5) alike; 0 for the triangulated pose alone, with the
            weight that `triangulation_weight` then has to give it in all epochs.
        image_space: Where eqs. (2) and (5) are measured: in each view's `"pixels"`, as in the
            paper, or in `"rays"`, as if all views had the mean focal length.
        least_depth: Meters from a camera below which eqs. (2) and (5) continue `1 / z` by its
            tangent, also behind the camera. Unknown in the paper; 0.001 is as good as no guard.
        flip_augmentation: Whether an instant is mirrored with probability 1/2, its cameras too.
        robust_steps: How often the root is solved again with weights that fall with the
            reprojection error.
        robust_loss: Whether such weights also weigh eqs. (2) and (5).
        robust_kernel: How they fall: a name of `triangulation.KERNELS`.
        robust_scale_px: The kernel's scale; 0 for a multiple of each instant's median error.
        gauss_newton_steps: Steps from the root of the least algebraic error to that of the least
            projected error.
        agreement_weighting: Whether confidences are multiplied by how well the views agree on a
            joint, whatever its lifted position.
        triangulation_weight: Of the distance to the pose that is triangulated robustly from the
            instant's views.
        triangulation_epochs: Epochs in which that counts; 0 for all.
        symmetry_weight: Of the differences between the bones of both sides.
        bone_length_weight: Of the differences from the triangulated bones' lengths.
        refine_extrinsics: Whether each camera that stays where it is gets a small turn and shift
            that are trained along, where calibration is doubtful.
    """

    reprojection_weight: float = 1.0
    image_space: str = "pixels"
    least_depth: float = LEAST_DEPTH
    flip_augmentation: bool = False
    robust_steps: int = 0
    robust_loss: bool = False
    robust_kernel: str = "cauchy"
    robust_scale_px: float = 0.0
    gauss_newton_steps: int = 0
    agreement_weighting: bool = False
    triangulation_weight: float = 0.0
    triangulation_epochs: int = 0
    symmetry_weight: float = 0.0
    bone_length_weight: float = 0.0
    refine_extrinsics: bool = False

    def check_switches(self, views: str) -> None:
        """Holds the switches to their rules.

        Args:
            views: What a lifted pose is compared with.

        Raises:
            ValueError: If one breaks its rule, or would change nothing.
        """
        config_rules.one_of("image_space", self.image_space, IMAGE_SPACES)
        if not self.least_depth > 0:
            raise ValueError(f"`least_depth` must be positive. Received: {self.least_depth}.")
        config_rules.one_of("robust_kernel", self.robust_kernel, KERNELS)
        for name in ("robust_steps", "robust_scale_px", "gauss_newton_steps"):
            config_rules.at_least(name, getattr(self, name), 0)
        for name in ("triangulation_weight", "symmetry_weight", "bone_length_weight"):
            config_rules.at_least(name, getattr(self, name), 0)
        config_rules.at_least("triangulation_epochs", self.triangulation_epochs, 0)
        config_rules.at_least("reprojection_weight", self.reprojection_weight, 0)
        if views != "all":
            self._refuse(_OF_ALL_VIEWS, f"needs `views='all'`, not {views!r}")
        if not self.robust_steps and not self.robust_loss:
            names = ("robust_kernel", "robust_scale_px")
            self._refuse(names, "needs `robust_steps` or `robust_loss`")
        if not self.triangulation_weight:
            self._refuse(("triangulation_epochs",), "needs `triangulation_weight`")
        if not self.reprojection_weight:
            self._check_without_reprojection()

    def _check_without_reprojection(self) -> None:
        # Of the other losses only the triangulated pose determines a pose.
        if not self.triangulation_weight or self.triangulation_epochs:
            rule = "needs `triangulation_weight`, and 0 `triangulation_epochs`, where it is 0"
            received = f"{self.triangulation_weight} and {self.triangulation_epochs}"
            raise ValueError(f"`reprojection_weight` {rule}. Received: {received}.")
        names = ("robust_loss", "refine_extrinsics")
        self._refuse(names, "needs a `reprojection_weight` above 0")

    def _refuse(self, names: tuple[str, ...], rule: str) -> None:
        defaults = {field.name: field.default for field in dataclasses.fields(FinetuneSwitches)}
        for name in names:
            value = getattr(self, name)
            if value != defaults[name]:
                raise ValueError(f"`{name}` {rule}. Received: {value!r}.")
