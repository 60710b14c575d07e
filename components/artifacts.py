"""Artifact types of this pipeline beside TFX's own."""

from tfx.types import artifact


class Baselines(artifact.Artifact):
    """`baselines.json`: the figures of what a model is compared with."""

    TYPE_NAME = "MVLiftBaselines"


class Report(artifact.Artifact):
    """`results.json` and `picture.png` of a run."""

    TYPE_NAME = "MVLiftReport"


class Candidates(artifact.Artifact):
    """`candidates.json`: the models that one is chosen from, with their scores without labels."""

    TYPE_NAME = "MVLiftCandidates"


class RigReport(artifact.Artifact):
    """`rig.json`: what a check found of the rig that filmed the records."""

    TYPE_NAME = "MVLiftRigReport"


class HeldOutScores(artifact.Artifact):
    """`held_out.json`: how well a model explains views that it did not lift from."""

    TYPE_NAME = "MVLiftHeldOutScores"
