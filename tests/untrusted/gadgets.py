"""Real pickles that run code when they are loaded the usual way.

Each of `GADGETS` would create the file `SENTINEL` in the folder it is loaded in.
"""

import builtins
import importlib
import os
import pickle
import struct
import subprocess

SENTINEL = "sentinel"
COMMAND = f"touch {SENTINEL}"


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def stacked(module, name, arguments=b""):
    """Calls a name that comes from the stack, as protocol 4 and later write it."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93(" + arguments + b"tR."


def state(value):
    """Sets a state on the class ndarray itself."""
    return b"\x80\x02cnumpy\nndarray\n" + value + b"b."


_OPENED = f"open({SENTINEL!r}, 'w')"
_OPEN = text(SENTINEL) + text("w")
_TORCH = (
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQK\x00K\x01\x85K\x01\x85\x89NtR."
)
# Name of the gadget to its bytes and to what it is refused as.
_SYSTEM = Calls(os.system, COMMAND)
GADGETS = {
    **{f"os.system, protocol {p}": (pickle.dumps(_SYSTEM, p), "posix.system") for p in range(6)},
    "Popen": (pickle.dumps(Calls(subprocess.Popen, COMMAND.split())), "subprocess.Popen"),
    "eval": (pickle.dumps(Calls(eval, _OPENED)), "builtins.eval"),
    "exec": (pickle.dumps(Calls(exec, _OPENED)), "builtins.exec"),
    "open": (pickle.dumps(Calls(open, SENTINEL, "w")), "io.open"),
    "getattr chain": (
        pickle.dumps(Calls(getattr, Calls(importlib.import_module, "os"), "system")),
        "builtins.getattr",
    ),
    "import_module": (
        pickle.dumps(Calls(importlib.import_module, "this")),
        "importlib.import_module",
    ),
    "__import__": (pickle.dumps(Calls(builtins.__import__, "os")), "builtins.__import__"),
    "runstring": (
        stacked("numpy.testing._private.utils", "runstring", text(_OPENED) + b"}"),
        "numpy.testing._private.utils.runstring",
    ),
    "numpy.load": (stacked("numpy", "load", text("a.npy") + b"N\x88"), "numpy.load"),
    "numpy.memmap": (stacked("numpy", "memmap", _OPEN), "numpy.memmap"),
    "numpy.fromfile": (stacked("numpy", "fromfile", text("/dev/zero")), "numpy.fromfile"),
    "dotted name": (
        stacked("numpy", "core.multiarray.fromfile", text("/dev/zero")),
        "numpy.core.multiarray.fromfile",
    ),
    "dotted path out of an admitted name": (
        stacked("numpy", "ndarray.tofile", text(SENTINEL)),
        "numpy.ndarray.tofile",
    ),
    "globals of an admitted function": (
        stacked("_codecs", "encode.__self__.open", _OPEN),
        "_codecs.encode.__self__.open",
    ),
    "name out of the memo": (
        b"\x80\x04" + text("posix") + b"\x940" + text("system") + b"\x940"
        b"h\x00h\x01\x93" + text(COMMAND) + b"\x85R.",
        "posix.system",
    ),
    "text of protocol 0": (f"cposix\nsystem\n(S'{COMMAND}'\ntR.".encode(), "posix.system"),
    "Python 2's name": (f"c__builtin__\neval\n(S{_OPENED!r}\ntR.".encode(), "__builtin__.eval"),
    "INST": (f"(S'{COMMAND}'\niposix\nsystem\n.".encode(), "posix.system"),
    "OBJ": (f"(cposix\nsystem\nS'{COMMAND}'\no.".encode(), "posix.system"),
    "OBJ of an admitted class": (b"(cnumpy\nndarray\nI9\no.", "takes 0 positional arguments"),
    "NEWOBJ": (
        b"\x80\x02csubprocess\nPopen\n" + text(COMMAND) + b"\x85\x81.",
        "subprocess.Popen",
    ),
    "NEWOBJ of an admitted class": (
        b"\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7ft\x81.",
        "NEWOBJ class argument must be a type",
    ),
    "NEWOBJ_EX": (b"\x80\x04cnumpy\nndarray\n)}\x92.", "NEWOBJ_EX class argument must be a type"),
    "EXT1": (b"\x80\x02\x82\x11.", "unregistered extension code 17"),
    "EXT2": (b"\x80\x02\x83\x11\x01.", "unregistered extension code 273"),
    "EXT4": (b"\x80\x02\x84\x11\x01\x00\x00.", "unregistered extension code 273"),
    "PERSID": (b"Pfile\n.", "A load persistent id instruction"),
    "BINPERSID": (b"\x80\x02K\x01Q.", "A load persistent id instruction"),
    "like torch": (_TORCH, "torch._utils._rebuild_tensor_v2"),
    "buffer from outside": (b"\x80\x05\x97.", "refers to out-of-band data"),
    "copyreg": (
        stacked("copyreg", "_reconstructor", b"cposix\nsystem\n"),
        "copyreg._reconstructor",
    ),
    "state of a class": (state(b"}X\x01\x00\x00\x00aK\x01s"), "attributes are set on a name"),
    "slots of a class": (state(b"N}X\x01\x00\x00\x00aK\x01s\x86"), "attributes are set on a name"),
}
