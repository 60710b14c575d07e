"""Finds what runs on earlier spans left: their records, their statistics, the blessed model.

TFX's own `SpanRangeStrategy` counts numbers, and gives a span twice that was read twice. Here a
span counts if its data was found in order, so that one that was refused makes no hole and no harm,
and what stands for it is what was written last.
"""

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.example_validator import executor as example_validator
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy

from components import resolvers
from components.example_gen import spans

NEWEST = "newest"
"""The key of what is of the span that a run is about."""

VERDICT = "verdict_"
"""How keys of anomalies begin that decide whether a span counts."""


class RollingSpans(resolver.ResolverStrategy):
    """Chooses the last spans up to the newest, or those before it.

    Of each key but `NEWEST` it gives an artifact a span, the newest first.

    Args:
        num_spans: The most.
        is_former: Whether the newest is left out.
    """

    def __init__(self, num_spans: int, is_former: bool = False):
        self._num_spans, self._is_former = num_spans, is_former

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Gives the artifacts of the chosen spans; empty lists where there are none."""
        del store
        newest = input_dict[NEWEST]
        last = span_of(newest[0])
        of_span = {
            key: _last_of_each_span(artifacts)
            for key, artifacts in input_dict.items()
            if key != NEWEST
        }
        known = set.intersection(*map(set, of_span.values()))
        chosen = [
            span
            for span in sorted(known, reverse=True)
            if span + self._is_former <= last and _is_in_order(span, of_span)
        ][: self._num_spans]
        found = {key: [by_span[span] for span in chosen] for key, by_span in of_span.items()}
        return {NEWEST: newest} | found


class LastBlessedBefore(resolver.ResolverStrategy):
    """Chooses the last blessed model that has not seen the newest span.

    A run that is repeated then starts where it started, and not from its own result.
    """

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Gives the model and its blessing, or empty lists."""
        newest, models = input_dict[NEWEST], [*input_dict[resolvers.MODEL]]
        strategy = latest_blessed_model_strategy.LatestBlessedModelStrategy()
        last = span_of(newest[0])
        nothing: dict[str, list[types.Artifact]] = {resolvers.MODEL: [], resolvers.BLESSING: []}
        while models:
            channels = {
                resolvers.MODEL: models,
                resolvers.BLESSING: [*input_dict[resolvers.BLESSING]],
            }
            found = strategy.resolve_artifacts(store, channels) or nothing
            if not found[resolvers.MODEL]:
                break
            (model,) = found[resolvers.MODEL]
            if all(span < last for span in trained_on(store, model)):
                return {NEWEST: newest} | found
            models = [other for other in models if other.id < model.id]
        return {NEWEST: newest} | nothing


def span_of(artifact: types.Artifact) -> int:
    """Gives the number of an artifact's span, as components after the ExampleGen note it."""
    return artifact.span


def trained_on(store: MetadataStore, model: types.Artifact) -> list[int]:
    """Gives the spans whose records a model's training was given; none where it was of none."""
    events = store.get_events_by_artifact_ids([model.id])
    outputs = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.DECLARED_OUTPUT)
    producers = [event.execution_id for event in events if event.type in outputs]
    given = [
        event.artifact_id
        for event in store.get_events_by_execution_ids(producers)
        if event.type not in outputs
    ]
    artifacts = store.get_artifacts_by_id(given) if given else []
    found = [one.custom_properties.get(spans.SPAN) for one in artifacts]
    return sorted(value.int_value for value in found if value is not None)


def _last_of_each_span(artifacts: list[types.Artifact]) -> dict[int, types.Artifact]:
    # Runs without spans leave records that have none.
    of_spans = [
        one
        for one in artifacts
        if one.type_name != "Examples" or one.has_custom_property(spans.SPAN)
    ]
    return {span_of(one): one for one in sorted(of_spans, key=lambda one: one.id)}


def _is_in_order(span: int, of_span: dict[str, dict[int, types.Artifact]]) -> bool:
    key = example_validator.ARTIFACT_PROPERTY_BLESSED_KEY
    verdicts = [by_span[span] for name, by_span in of_span.items() if name.startswith(VERDICT)]
    return all(
        set(verdict.get_json_value_custom_property(key).values())
        == {example_validator.BLESSED_VALUE}
        for verdict in verdicts
    )
