"""Finds the model that a new one must not fall behind."""

from ml_metadata import MetadataStore
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy

CANDIDATE, MODEL, BLESSING = "candidate", "model", "model_blessing"


class LastOtherBlessedModel(resolver.ResolverStrategy):
    """Chooses the last blessed model that is not the candidate itself.

    TFX's own strategy would, in a second run of an unchanged pipeline, find the model of the
    first: a new input, for which Evaluator and Pusher would run again instead of being answered
    from the cache.
    """

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Gives the model and its blessing, or empty lists, and the candidate as it came.

        TFX looks for every key of the input in the answer.
        """
        candidates = {artifact.id for artifact in input_dict[CANDIDATE]}
        others = [model for model in input_dict[MODEL] if model.id not in candidates]
        strategy = latest_blessed_model_strategy.LatestBlessedModelStrategy()
        channels = {MODEL: others, BLESSING: input_dict[BLESSING]}
        found = strategy.resolve_artifacts(store, channels) or {MODEL: [], BLESSING: []}
        return {CANDIDATE: input_dict[CANDIDATE]} | found
