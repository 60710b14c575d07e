"""TensorFlow Serving's word before a model is pushed, where it is asked for."""

from tfx.dsl.components.base import base_node

from components import infra_validator
from pipeline import settings


def nodes(
    config: settings.PipelineConfig,
    examples: base_node.BaseNode,
    trained: base_node.BaseNode,
    judge: base_node.BaseNode,
) -> list[base_node.BaseNode]:
    """Makes the node that tries a judged model in TensorFlow Serving, or none.

    Args:
        config: With `infra_validation`.
        examples: With the test views.
        trained: With the model.
        judge: What must have judged it.
    """
    if not config.infra_validation.is_wanted:
        return []
    # Models of windows have no signature of records.
    asked = None if config.model.is_temporal else examples.outputs["test_examples"]
    node = infra_validator.InfraValidator(
        trained.outputs["model"], asked, **config.infra_validation.options
    )
    node.add_upstream_node(judge)
    return [node]
