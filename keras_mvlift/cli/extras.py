"""What to install where a command meets a library that is not there."""

# Of commands that need more than one library, all that they need, in one go.
_COMMANDS = {
    "adapt": "data,train",
    "calibrate": "data,viz",
    "check-rig": "data,viz",
    "experiments": "data,train,viz",
    "export": "export",
    "rollout": "serving",
    "simulate": "data",
}
# Of others, and of what a file's format needs.
_EXTRAS = {
    "tensorflow": ("tensorflow",),
    "train": ("keras", "tf_keras"),
    "data": (
        "cdflib",
        "cv2",
        "h5py",
        "jsonschema",
        "pyarrow",
        "scipy",
        "tomli",
        "tomli_w",
        "tqdm",
        "yaml",
    ),
    "c3d": ("ezc3d",),
    "export": ("onnx", "tf2onnx"),
    "serving": ("google", "grpc", "tenacity", "tensorflow_serving", "urllib3"),
    "video": ("av", "mediapipe"),
    "viz": ("PIL", "jinja2", "matplotlib", "rich"),
}


def advice(error: ModuleNotFoundError, command: str | None = None) -> str | None:
    """Says which extra brings a library that is missing; None for one that none brings.

    Args:
        error: Of the import.
        command: What was called.
    """
    missing = (error.name or "").partition(".")[0]
    for extra, modules in _EXTRAS.items():
        if missing in modules:
            needed = _COMMANDS.get(command or "", extra)
            rule = f"be installed for this: pip install 'keras-mvlift[{needed}]'"
            return f"`{missing}` must {rule}. Received: no such module."
    return None
