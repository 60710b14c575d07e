"""The one error that readers raise for files they cannot use."""

import contextlib
from collections.abc import Iterator

from keras_mvlift import argument_rules


class RecordingError(ValueError):
    """A file of a recording breaks a rule.

    Args:
        path: The file or folder.
        field: The field in it that breaks the rule.
        rule: What the field must be or do.
        received: What came instead.
    """

    def __init__(self, path: object, field: str, rule: str, received: object):
        super().__init__(f"{path}: `{field}` must {rule}. Received: {received}.")
        self.path, self.field, self.rule, self.received = path, field, rule, received

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Rebuilds the error from its parts, so that it crosses process borders."""
        return RecordingError, (self.path, self.field, self.rule, self.received)


@contextlib.contextmanager
def parsing(path: object, field: str, rule: str) -> Iterator[None]:
    """Turns whatever a parser raises into a `RecordingError` about the file it was given.

    Parsers of other people's formats fail in every way there is when bytes are damaged. Only the
    call of the parser belongs inside.

    Args:
        path: The file that is parsed.
        field: The part of it that is parsed.
        rule: What that part must be.

    Raises:
        RecordingError: In place of any error raised inside; of an `ArgumentError` it keeps field,
            rule and what came.
    """
    try:
        yield
    except RecordingError:
        raise
    except argument_rules.ArgumentError as error:
        raise RecordingError(path, error.field, error.rule, error.received) from error
    except Exception as error:
        received = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise RecordingError(path, field, rule, received) from error
