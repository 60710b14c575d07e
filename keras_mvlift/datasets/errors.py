"""The one error that readers raise for files they cannot use."""


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
