"""How what was brought is refused: by the error of recordings, with path, field and rule."""

import pytest

from keras_mvlift import errors


def refused(match, read, *arguments, at=None):
    """Fails unless `read` refuses its arguments, `at` a path and a field; returns the error."""
    with pytest.raises(errors.RecordingError, match=match) as caught:
        read(*arguments)
    assert at in (None, (caught.value.path, caught.value.field)), caught.value
    return caught.value
