"""Messages of TensorFlow Serving's configs that tensorflow-serving-api does not come with.

Names, numbers and types are those of `BatchingParameters` in session_bundle_config.proto and of
monitoring_config.proto, as TensorFlow Serving publishes them.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_INT64, _BOOL, _TEXT, _MESSAGE = (
    getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name}")
    for name in ("INT64", "BOOL", "STRING", "MESSAGE")
)
_WRAPPED = ".google.protobuf.Int64Value"
_MESSAGES = {
    "BatchingParameters": [
        ("max_batch_size", _MESSAGE, _WRAPPED),
        ("batch_timeout_micros", _MESSAGE, _WRAPPED),
        ("max_enqueued_batches", _MESSAGE, _WRAPPED),
        ("num_batch_threads", _MESSAGE, _WRAPPED),
        ("thread_pool_name", _MESSAGE, ".google.protobuf.StringValue"),
        ("allowed_batch_sizes", _INT64, None),
        ("pad_variable_length_inputs", _BOOL, None),
    ],
    "PrometheusConfig": [("enable", _BOOL, None), ("path", _TEXT, None)],
    "MonitoringConfig": [
        ("prometheus_config", _MESSAGE, ".tensorflow.serving.published.PrometheusConfig")
    ],
}


def _described():
    package = "tensorflow.serving.published"
    file = descriptor_pb2.FileDescriptorProto(
        name="published.proto",
        package=package,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for number, (name, kind, type_name) in enumerate(fields, 1):
            field = descriptor_pb2.FieldDescriptorProto
            label = field.LABEL_REPEATED if name == "allowed_batch_sizes" else field.LABEL_OPTIONAL
            described.field.add(
                name=name, number=number, type=kind, label=label, type_name=type_name
            )
    descriptor_pool.Default().Add(file)
    found = [f"{package}.{name}" for name in ("BatchingParameters", "MonitoringConfig")]
    pool = descriptor_pool.Default()
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(pool.FindMessageTypeByName(name)) for name in found]


BatchingParameters, MonitoringConfig = _described()
