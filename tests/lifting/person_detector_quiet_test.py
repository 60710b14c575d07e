import os

import pytest

from keras_mvlift.lifting import person_detector


def speak(text):
    """Writes as a native library does."""
    os.write(2, text.encode())


def test_what_native_libraries_say_is_held_back(capfd):
    with person_detector.quiet_standard_error():
        speak("INFO: chatter\n")
    speak("after\n")
    assert capfd.readouterr().err == "after\n"


def test_what_was_said_before_a_failure_comes_out(capfd):
    def fail():
        speak("E: the reason\n")
        raise RuntimeError("no graph")

    with pytest.raises(RuntimeError, match="no graph"), person_detector.quiet_standard_error():
        fail()
    speak("after\n")
    assert capfd.readouterr().err == "E: the reason\nafter\n"


def test_no_file_stays_open():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with person_detector.quiet_standard_error():
            pass
    assert len(os.listdir("/proc/self/fd")) == before
