import gzip
import struct

import cdflib.cdfwrite
import numpy as np
import pytest

from keras_mvlift.untrusted import cdf

MAX_BYTES = 100_000


@pytest.fixture
def content(tmp_path):
    """A file of one compressed variable."""
    path = tmp_path / "file.cdf"
    file = cdflib.cdfwrite.CDF(path)
    variable = {"Variable": "Pose", "Data_Type": 45, "Num_Elements": 1, "Rec_Vary": True}
    values = np.zeros((1, 100, 6))
    file.write_var({**variable, "Dim_Sizes": [100, 6], "Compress": 6}, var_data=values)
    file.close()
    return path.read_bytes()


def put(content, offset, layout, value):
    return (
        content[:offset] + struct.pack(layout, value) + content[offset + struct.calcsize(layout) :]
    )


def record(content, kind):
    """Where the first record of a kind begins."""
    offset = 8
    while struct.unpack_from(">I", content, offset + 8)[0] != kind:
        offset += struct.unpack_from(">Q", content, offset)[0]
    return offset


GDR, VXR, ZVDR, CVVR = 2, 6, 8, 13


def test_a_whole_file_is_read(content):
    file = cdf.BoundedCDF(content, MAX_BYTES)
    np.testing.assert_array_equal(file.varget("Pose"), np.zeros((1, 100, 6)))


def test_a_block_that_grows_too_large_is_refused(content):
    start = record(content, CVVR)
    bomb = gzip.compress(bytes(10 * MAX_BYTES))
    header = struct.pack(">QIIQ", 24 + len(bomb), CVVR, 0, len(bomb))
    content = put(content, record(content, VXR) + 28 + 8 * _entries(content), ">Q", len(content))
    assert start > 0
    file = cdf.BoundedCDF(content + header + bomb, MAX_BYTES)
    with pytest.raises(ValueError, match="is larger than 100000 bytes"):
        file.varget("Pose")


def _entries(content):
    return struct.unpack_from(">I", content, record(content, VXR) + 20)[0]


def test_a_file_that_grows_too_large_is_refused():
    bomb = gzip.compress(bytes(10 * MAX_BYTES))
    content = bytes.fromhex("cdf30001cccc0001") + bytes(32) + bomb
    with pytest.raises(ValueError, match="is larger than 100000 bytes"):
        cdf.BoundedCDF(content, MAX_BYTES)


def test_records_in_a_circle_are_refused(content):
    offset = record(content, VXR)
    circle = put(content, offset + 12, ">Q", offset)
    with pytest.raises((ValueError, RecursionError)):
        cdf.BoundedCDF(circle, MAX_BYTES).varget("Pose")
    variables = put(content, record(content, ZVDR) + 12, ">Q", record(content, ZVDR))
    many = put(variables, record(content, GDR) + 60, ">i", 2**31 - 1)
    with pytest.raises(ValueError, match="do not come to an end"):
        cdf.BoundedCDF(many, MAX_BYTES).varget("other")


def test_counts_beyond_a_record_are_refused(content):
    dimensions = put(content, record(content, ZVDR) + 340, ">i", 2**31 - 1)
    with pytest.raises(ValueError, match="ends too early"):
        cdf.BoundedCDF(dimensions, MAX_BYTES).vdr_info("Pose")


@pytest.mark.parametrize("length", [0, 7, 8, 20, 300, 700, -1])
def test_a_file_that_ends_early_is_refused(content, length):
    with pytest.raises(ValueError, match=r"ends too early|ends early"):
        cdf.BoundedCDF(content[:length], MAX_BYTES).varget("Pose")
