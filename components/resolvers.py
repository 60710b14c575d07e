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
        """Gives the model and its blessing, or empty lists."""
        candidates = {artifact.id for artifact in input_dict.get(CANDIDATE, [])}
        others = [model for model in input_dict[MODEL] if model.id not in candidates]
        nothing: dict[str, list[types.Artifact]] = {MODEL: [], BLESSING: []}
        if not others:
            return nothing
        strategy = latest_blessed_model_strategy.LatestBlessedModelStrategy()
        channels = {MODEL: others, BLESSING: input_dict[BLESSING]}
        return strategy.resolve_artifacts(store, channels) or nothing
