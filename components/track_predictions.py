"""How TFX's Evaluator comes to the poses of models that see frames around the one that they lift.

TensorFlow Model Analysis gives a model examples of one frame each, in any order. Here it gathers
the test views of each clip and camera, and every model, the candidate and the baseline, lifts them
as it sees them: a track at once, or frame by frame. `EXTRACTORS_MODULE` is given to the Evaluator.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

from keras_mvlift import inference
from keras_mvlift.lifting import lift
from keras_mvlift.metrics import baselines

EXTRACTORS_MODULE = "components.track_predictions"

_INPUT, _FEATURES, _PREDICTIONS = tfma.INPUT_KEY, tfma.FEATURES_KEY, tfma.PREDICTIONS_KEY


def custom_extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """Gives what TFMA does to each example before it measures; TFX's Evaluator calls it."""
    del tensor_adapter_config
    models = eval_shared_model if isinstance(eval_shared_model, list) else [eval_shared_model]
    paths = {model.model_name: model.model_path for model in models}
    return [
        tfma.extractors.FeaturesExtractor(eval_config),
        tfma.extractors.LabelsExtractor(eval_config),
        tfma.extractors.ExampleWeightsExtractor(eval_config),
        tfma.extractors.UnbatchExtractor(),
        tfma.extractors.Extractor("LiftTracks", _lift_tracks(paths)),
        tfma.extractors.SliceKeyExtractor(eval_config=eval_config),
    ]


class LiftTrack(beam.DoFn):
    """Adds the poses that models lift to the extracts of a clip and camera.

    Args:
        paths: Name to SavedModel; a single model's predictions go without its name.
    """

    def __init__(self, paths: dict[str, str]):
        self._paths = paths

    def setup(self) -> None:
        """Loads the models, once for all tracks that a worker is given."""
        self._models = {name: inference.load_model(path) for name, path in self._paths.items()}

    def process(self, track: tuple[Any, Iterable[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """Takes a key and the extracts of one example each; gives them back with predictions."""
        extracts = list(track[1])
        test = baselines.decode_test_views([np.ravel(one[_INPUT])[0] for one in extracts])
        poses = {
            name: lift.lift_test_views(model, test).root_relative_pose.reshape(len(extracts), -1)
            for name, model in self._models.items()
        }
        for index, extract in enumerate(extracts):
            lifted = {name: pose[index] for name, pose in poses.items()}
            alone = lifted if len(lifted) > 1 else next(iter(lifted.values()))
            yield extract | {_PREDICTIONS: alone}


@beam.ptransform_fn
def _lift_tracks(extracts: beam.PCollection, paths: dict[str, str]) -> beam.PCollection:
    return (
        extracts
        | "KeyByTrack" >> beam.Map(lambda extract: (_track(extract), extract))
        | "GatherTracks" >> beam.GroupByKey()
        | "Lift" >> beam.ParDo(LiftTrack(paths))
    )


def _track(extract: dict[str, Any]) -> tuple[bytes, bytes]:
    clip, camera = (np.ravel(extract[_FEATURES][name])[0] for name in ("clip", "camera"))
    return clip, camera
