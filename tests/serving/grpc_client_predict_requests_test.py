import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from keras_mvlift.serving import clients, grpc_client


@pytest.mark.parametrize(
    ("path", "choice", "value"),
    [
        ("/a", None, None),
        ("/a/labels/canary", "version_label", "canary"),
        ("/a/versions/7", "version", 7),
    ],
)
def test_a_spec_names_model_version_and_signature(path, choice, value):
    spec = grpc_client.model_spec(clients.parse(f"grpc://localhost{path}"), "lift_camera")
    assert (spec.name, spec.signature_name) == ("a", "lift_camera")
    assert spec.WhichOneof("version_choice") == choice
    assert value in (None, spec.version_label, spec.version.value)


def test_arrays_come_back_from_the_wire_as_they_were():
    inputs = {"keypoints_2d": np.float32([[[1.5, 2.0]]]), "examples": np.array([b"a\0"], object)}
    spec = grpc_client.model_spec(clients.parse("grpc://localhost"), "any")
    request = predict_pb2.PredictRequest.FromString(
        grpc_client.encode(spec, inputs).SerializeToString()
    )
    answer = predict_pb2.PredictResponse(outputs=request.inputs)
    given = grpc_client.decode(answer)
    assert {*given} == {*inputs}
    for name, value in inputs.items():
        assert given[name].dtype == value.dtype
        np.testing.assert_array_equal(given[name], value)
