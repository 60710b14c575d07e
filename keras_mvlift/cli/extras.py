"""What to install where a command meets a library that is not there."""

_EXTRAS = {
    "tensorflow": ("tensorflow",),
    "train": ("keras", "tensorflow_addons", "tensorflow_graphics", "tqdm"),
    "data": (
        "cdflib",
        "cv2",
        "h5py",
        "jsonschema",
        "pyarrow",
        "scipy",
        "tomli",
        "tomli_w",
        "yaml",
    ),
    "c3d": ("ezc3d",),
    "export": ("onnx", "tf2onnx"),
    "serving": ("grpc", "tenacity", "tensorflow_serving", "urllib3"),
    "video": ("av", "mediapipe"),
    "viz": ("PIL", "jinja2", "matplotlib", "rich"),
}


def advice(error: ModuleNotFoundError) -> str | None:
    """Says which extra brings a library that is missing; None for one that none brings."""
    missing = (error.name or "").partition(".")[0]
    for extra, modules in _EXTRAS.items():
        if missing in modules:
            rule = f"be installed for this: pip install 'keras-mvlift[{extra}]'"
            return f"`{missing}` must {rule}. Received: no such module."
    return None
