import os
import pickle

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import reading
from tests.untrusted import gadgets

NAMES = sorted(gadgets.GADGETS)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("protocol", range(6))
def test_these_gadgets_are_real(tmp_path, protocol):
    data, _ = gadgets.GADGETS[f"os.system, protocol {protocol}"]
    pickle.loads(data)
    assert os.path.exists(gadgets.SENTINEL)


@pytest.mark.parametrize("name", NAMES)
def test_a_gadget_is_refused_by_what_it_asks_for_and_does_not_run(tmp_path, name):
    data, received = gadgets.GADGETS[name]
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(errors.RecordingError) as caught:
        reading.pickled(tmp_path / "a.pkl")
    assert received in str(caught.value)
    assert str(tmp_path / "a.pkl") in str(caught.value)
    assert os.listdir() == ["a.pkl"]


def member(array, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, positions_3d=array)
    return path


@pytest.mark.parametrize("nest", [lambda x: x, lambda x: {"S1": [x]}, lambda x: (x,)])
def test_a_gadget_in_an_array_of_an_archive_is_refused_by_the_arrays_name(tmp_path, nest):
    gadget = np.empty((), object)
    gadget[()] = nest(gadgets.Calls(os.system, gadgets.COMMAND))
    path = member(gadget, tmp_path)
    with pytest.raises(errors.RecordingError) as caught:
        reading.npz(path)
    assert (caught.value.field, caught.value.received) == ("positions_3d", "posix.system")
    assert os.listdir() == ["a.npz"]


def test_a_gadget_in_an_array_that_is_not_asked_for_is_not_touched(tmp_path):
    gadget = np.array(gadgets.Calls(os.system, gadgets.COMMAND), dtype=object)
    np.savez(tmp_path / "a.npz", bad=gadget, good=np.arange(3))
    assert reading.npz(tmp_path / "a.npz", ("good",))["good"].tolist() == [0, 1, 2]
    assert os.listdir() == ["a.npz"]
