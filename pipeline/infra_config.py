"""The server that a model must load in before it is pushed, as a frozen dataclass."""

import dataclasses
import re
from typing import Any

from keras_mvlift import configs

_IMAGE = re.compile(r"[\w][\w./:-]*")
_TAG = re.compile(r"[\w][\w.-]{0,127}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InfraValidationConfig(configs.Json):
    """A check of each model in TensorFlow Serving's image, by Docker.

    Attributes:
        tag: Of the image, such as `"2.15.1"`; empty for no check.
        serving_image: The image.
        num_examples: Test views that the server is asked to lift; models of windows are only
            loaded, which runs their warm-up requests.
        num_tries: How often the server is started before a model is refused.
        max_loading_seconds: The most for a start.
        docker_url: Where Docker listens, such as `"tcp://localhost:2375"`; empty for its socket.

    Raises:
        ValueError: If a field is not as stated above.
    """

    tag: str = ""
    serving_image: str = "tensorflow/serving"
    num_examples: int = 8
    num_tries: int = 2
    max_loading_seconds: int = 120
    docker_url: str = ""

    def __post_init__(self) -> None:
        for name, rule in (("tag", _TAG), ("serving_image", _IMAGE), ("docker_url", None)):
            value = getattr(self, name)
            is_one = isinstance(value, str) and (rule is None or rule.fullmatch(value))
            if not is_one and not (name == "tag" and value == ""):
                told = "text" if rule is None else "the name of an image's part"
                raise ValueError(f"`{name}` must be {told}. Received: {value!r}.")
        for name in ("num_examples", "num_tries", "max_loading_seconds"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"`{name}` must be a whole number. Received: {value!r}.")
            configs.at_least(name, value, 1)

    @property
    def is_wanted(self) -> bool:
        """Tells whether models are checked."""
        return bool(self.tag)

    @property
    def options(self) -> dict[str, Any]:
        """What the component takes."""
        return dataclasses.asdict(self)
