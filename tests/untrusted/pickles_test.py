import io
import pickle
import pickletools

import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import pickles


def run(data, size=None):
    stream = io.BytesIO(data)
    return pickles.run_machine(stream, len(data) if size is None else size, "a.pkl", "x"), stream


# What makes objects of classes, or takes something from elsewhere.
REFUSED = {"PERSID", "BINPERSID", "OBJ", "NEWOBJ", "NEWOBJ_EX", "NEXT_BUFFER", "READONLY_BUFFER"}


@pytest.mark.parametrize("opcode", pickletools.opcodes, ids=lambda opcode: opcode.name)
def test_each_opcode_is_either_interpreted_or_refused_by_name(opcode):
    # Values of several kinds below it and bytes for its argument behind it.
    data = b"\x80\x04(K\x01K\x02" + opcode.code.encode("latin-1") + b"1\n1\n."
    try:
        run(data)
        refusal = ""
    except errors.RecordingError as error:
        refusal = error.received
    except Exception:
        refusal = ""
    is_refused = refusal == f"the opcode {opcode.name}"
    assert is_refused == (opcode.name in REFUSED | {"DUP"})


def test_reading_ends_at_the_stop(tmp_path):
    value, stream = run(pickle.dumps([1, 2]) + b"more")
    assert (value, stream.read()) == ([1, 2], b"more")


def test_no_more_is_read_than_stated():
    data = pickle.dumps("a" * 100)
    with pytest.raises(EOFError, match="bytes are missing at the end"):
        run(data, len(data) - 10)
    with pytest.raises(ValueError, match="no newline"):
        run(b"V" + b"a" * 50 + b"\n.", 20)


def test_unknown_opcodes_are_refused():
    with pytest.raises(errors.RecordingError, match=r"a.pkl: `x` must .*the opcode b'\\xff'"):
        run(b"\xff.")


def test_strings_of_python_2_are_latin_1():
    assert run(b"S'a\\xff\\n\\'\\\\'\n.")[0] == "a\xff\n'\\"
    for line in (b"S'a\n.", b"Sa\n.", b"S'\n.", b"S'a\"\n."):
        with pytest.raises(ValueError, match="lacks its quotes"):
            run(line)
