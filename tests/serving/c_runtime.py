"""Runs a SavedModel through TensorFlow's C interface, in a process that has no Python TensorFlow.

Run as a program: LIBRARY FOLDER CALLS.pickle ANSWERS.pickle. Calls are triples of a name, inputs by
the name of their tensor in the graph, and the names of outputs' tensors.
"""

import ctypes
import pickle
import sys

import numpy as np

FLOAT, STRING = 1, 7
STRING_BYTES = 24


class Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Buffer(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    )


def bind(path):
    library = ctypes.CDLL(path)
    for name, result in {
        "NewStatus": ctypes.c_void_p,
        "NewGraph": ctypes.c_void_p,
        "NewSessionOptions": ctypes.c_void_p,
        "LoadSessionFromSavedModel": ctypes.c_void_p,
        "GraphOperationByName": ctypes.c_void_p,
        "AllocateTensor": ctypes.c_void_p,
        "TensorData": ctypes.c_void_p,
        "Dim": ctypes.c_int64,
        "TensorByteSize": ctypes.c_size_t,
        "Message": ctypes.c_char_p,
        "GetAllOpList": ctypes.POINTER(Buffer),
    }.items():
        getattr(library, f"TF_{name}").restype = result
    return library


class Session:
    def __init__(self, library, folder):
        self.library = library
        pointer = ctypes.c_void_p
        self.status, self.graph = pointer(library.TF_NewStatus()), pointer(library.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        options = pointer(library.TF_NewSessionOptions())
        self.session = pointer(
            library.TF_LoadSessionFromSavedModel(
                options, None, folder.encode(), tags, 1, self.graph, None, self.status
            )
        )
        self.check()

    def check(self):
        if self.library.TF_GetCode(self.status):
            raise RuntimeError(self.library.TF_Message(self.status).decode())

    def run(self, inputs, outputs):
        feeds = (Output * len(inputs))(*map(self.output, inputs))
        values = (ctypes.c_void_p * len(inputs))(*map(self.tensor, inputs.values()))
        fetches = (Output * len(outputs))(*map(self.output, outputs))
        results = (ctypes.c_void_p * len(outputs))()
        counts = len(inputs), len(outputs)
        feeding, fetching = (feeds, values, counts[0]), (fetches, results, counts[1])
        none = (None, 0, None)
        self.library.TF_SessionRun(self.session, None, *feeding, *fetching, *none, self.status)
        self.check()
        return {name: self.array(result) for name, result in zip(outputs, results, strict=True)}

    def output(self, name):
        operation, index = name.split(":")
        found = self.library.TF_GraphOperationByName(self.graph, operation.encode())
        return Output(found, int(index))

    def tensor(self, array):
        is_text = array.dtype == object
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        size = ctypes.c_size_t(array.size * STRING_BYTES if is_text else array.nbytes)
        kind = STRING if is_text else FLOAT
        tensor = self.library.TF_AllocateTensor(kind, dims, array.ndim, size)
        data = self.library.TF_TensorData(ctypes.c_void_p(tensor))
        if not is_text:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, array.nbytes)
            return tensor
        for index, text in enumerate(array):
            place = ctypes.c_void_p(data + index * STRING_BYTES)
            self.library.TF_StringInit(place)
            self.library.TF_StringCopy(place, text, ctypes.c_size_t(len(text)))
        return tensor

    def array(self, tensor):
        tensor = ctypes.c_void_p(tensor)
        dims = range(self.library.TF_NumDims(tensor))
        shape = [self.library.TF_Dim(tensor, axis) for axis in dims]
        size = self.library.TF_TensorByteSize(tensor)
        data = ctypes.string_at(self.library.TF_TensorData(tensor), size)
        return np.frombuffer(data, np.float32).reshape(shape)


def main(path, folder, calls, answers):
    library = bind(path)
    session = Session(library, folder)
    with open(calls, "rb") as file:
        results = [(name, session.run(*call)) for name, *call in pickle.load(file)]
    known = library.TF_GetAllOpList().contents
    operations = ctypes.string_at(known.data, known.length)
    modules = {name.split(".")[0] for name in sys.modules}
    with open(answers, "wb") as file:
        pickle.dump({"results": results, "operations": operations, "modules": modules}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
