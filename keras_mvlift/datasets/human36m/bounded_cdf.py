"""cdflib's reader of CDF files, kept from running away with a damaged or hostile file.

Bytes past a record's end read as zeros to cdflib, counts in the file drive its loops, links between
records may run in circles, and compressed blocks may hold anything. Here every read must find its
bytes, reads are counted, and blocks grow no further than allowed.
"""

import io
import pathlib
import struct
import zlib
from typing import Any

import cdflib.cdfread

# A file of Human3.6M is read in some 20 steps; one in many blocks needs more.
_MAX_READS = 5000
_UNCOMPRESSED = bytes.fromhex("0000ffff")
_COMPRESSED_V3 = bytes.fromhex("cdf30001cccc0001")
_COMPRESSED_BLOCK = 13
# zlib's code for data with gzip's header.
_GZIP = 31
_DOES_NOT_FIT = "the file ends too early, or a size in it is wrong"


class BoundedCDF(cdflib.cdfread.CDF):
    """A CDF file in memory, that ends in an error where cdflib alone might not end.

    Args:
        content: The file's bytes, whole.
        max_bytes: To how many bytes compressed data may grow.

    Raises:
        ValueError: Here and in every method, if records do not fit the file; cdflib raises errors
            of other kinds too.
    """

    def __init__(self, content: bytes, max_bytes: int):
        self._content, self._max_bytes = _inflated(content, max_bytes), max_bytes
        # cdflib wants an existing file; what it opens is decided below.
        super().__init__(pathlib.Path(__file__))

    def _file_or_url_or_s3_handler(self, *_: Any) -> io.BytesIO:
        return _CountedFile(self._content)

    def _read_vvr_block(self, offset: int) -> bytes:
        return self._block(offset, ">Q", 16)

    def _read_vvr_block2(self, offset: int) -> bytes:
        return self._block(offset, ">I", 12)

    def _block(self, offset: int, size_format: str, header: int) -> bytes:
        """Reads a block of values; its size has another width in each version of the format."""
        self._f.seek(offset)
        (size,) = struct.unpack(size_format, self._f.read(struct.calcsize(size_format)))
        block = self._f.read(size - struct.calcsize(size_format))
        if struct.unpack(">I", block[:4])[0] == _COMPRESSED_BLOCK:
            return _inflate(block[header:], self._max_bytes)
        return block[4:]


class _Record(bytes):
    """Bytes that are not read past their end."""

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice) and max(index.start or 0, index.stop or 0) > len(self):
            raise ValueError(_DOES_NOT_FIT)
        return super().__getitem__(index)


class _CountedFile(io.BytesIO):
    """A file that gives all bytes asked for, and not endlessly often."""

    _num_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._num_reads += 1
        if self._num_reads > _MAX_READS:
            raise ValueError("the file's records do not come to an end")
        content = super().read(size)
        if size is None or size < 0 or len(content) != size:
            raise ValueError(_DOES_NOT_FIT)
        return _Record(content)


def _inflated(content: bytes, max_bytes: int) -> bytes:
    """Unpacks a file that is compressed as a whole, as version 3 of the format may be."""
    if content[:8] != _COMPRESSED_V3:
        return content
    # The compressed record's header: size, type, where its parameters are, size when unpacked.
    header = 8 + struct.calcsize(">QIQQI")
    return content[:4] + _UNCOMPRESSED + _inflate(content[header:], max_bytes)


def _inflate(packed: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    content = inflater.decompress(bytes(packed), max_bytes)
    if not inflater.eof:
        raise ValueError(f"a compressed block ends early, or is larger than {max_bytes} bytes")
    return content
