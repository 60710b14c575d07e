"""Which recording is which span, and what became of it: a file that is whole at any time."""

import dataclasses
import json
import os
import pathlib
import re

from keras_mvlift import errors

LEDGER = "ledger.json"

CLAIMED = "claimed"
"""The state of a span that has no outcome yet."""

_NUMBER = re.compile(r"\d+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A span.

    Attributes:
        span: Its number.
        recording: What its folder was called when it came.
        state: `CLAIMED`, or how its run ended.
        reason: Why, where it could not be used or no model came of it.
        attempts: Runs that failed on it so far.
    """

    span: int
    recording: str
    state: str = CLAIMED
    reason: str = ""
    attempts: int = 0


class Ledger:
    """Numbers recordings by moving them to `NUMBER/`, each once and for ever.

    What is to be moved is written down before it is, so that a process that was killed in between
    goes on where it was.

    Args:
        folder: Where spans lie and the file is; made if it is not there.

    Raises:
        RecordingError: If the file is not what `Ledger` wrote.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder, self._path = folder, folder / LEDGER
        folder.mkdir(parents=True, exist_ok=True)
        self._entries = _read(self._path)

    @property
    def entries(self) -> list[Entry]:
        """All spans, by their numbers."""
        return [self._entries[span] for span in sorted(self._entries)]

    @property
    def open(self) -> Entry | None:
        """The span that has no outcome yet, if there is one; there are never two."""
        return next((entry for entry in self.entries if entry.state == CLAIMED), None)

    def claim(self, recording: pathlib.Path) -> Entry:
        """Gives a recording the next number and moves it to its place."""
        used = [int(one.name) for one in self.folder.iterdir() if _NUMBER.fullmatch(one.name)]
        span = max([0, *used, *self._entries]) + 1
        entry = Entry(span=span, recording=recording.name)
        self.note(entry)
        self.settle(recording.parent)
        return entry

    def settle(self, inbox: pathlib.Path) -> None:
        """Moves the claimed recording to its place, unless it is there already."""
        entry = self.open
        if entry is None or self.place(entry).exists():
            return
        recording = inbox / entry.recording
        if recording.exists():
            recording.rename(self.place(entry))
        else:
            # It was taken back before it was moved: its number stays unused.
            self.note(dataclasses.replace(entry, state="gone", reason="It was taken away."))

    def place(self, entry: Entry) -> pathlib.Path:
        """Gives the folder of a span."""
        return self.folder / f"{entry.span:05d}"

    def note(self, entry: Entry) -> None:
        """Writes down what is known of a span."""
        self._entries[entry.span] = entry
        entries = [dataclasses.asdict(entry) for entry in self.entries]
        write(self._path, json.dumps({"spans": entries}, indent=2))


def _read(path: pathlib.Path) -> dict[int, Entry]:
    if not path.exists():
        return {}
    try:
        found = [Entry(**fields) for fields in json.loads(path.read_text())["spans"]]
    except (ValueError, KeyError, TypeError) as error:
        rule = "hold the spans as they were written"
        raise errors.RecordingError(path, "spans", rule, error) from error
    return {entry.span: entry for entry in found}


def write(path: pathlib.Path, text: str) -> None:
    """Writes a file, whole or not at all, however the machine ends."""
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
