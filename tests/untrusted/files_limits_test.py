import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files

MIB = 2**20


def test_the_largest_recordings_published_are_admitted():
    # (3DHP's annot.mat: 3 x 14 cells; data_train_3dhp.npz; the detections of cpn.)
    for num_bytes, ratio in ((3 * 14 * 12820 * 84 * 8, 4), (700 * MIB, 1), (300 * MIB, 2)):
        files.check_content("a", "b", num_bytes, num_bytes // ratio)


@pytest.mark.parametrize(
    ("num_bytes", "num_stored"),
    [
        (files.COMPRESSION_FREE_BYTES, 1),
        (files.MAX_COMPRESSION_RATIO * 4 * MIB, 4 * MIB),
        (files.MAX_CONTENT_BYTES, files.MAX_CONTENT_BYTES),
    ],
)
def test_one_byte_above_a_limit_is_refused(num_bytes, num_stored):
    files.check_content("a", "b", num_bytes, num_stored)
    with pytest.raises(errors.RecordingError, match=r"a: `b` must (grow|hold) at most"):
        files.check_content("a", "b", num_bytes + 1, num_stored)


def test_a_shape_gives_its_bytes():
    assert files.check_shape("a", "b", (2, 3), 8) == 48
    assert files.check_shape("a", "b", (), 8) == 8
    assert files.check_shape("a", "b", (5, 0), 8) == 0


@pytest.mark.parametrize(
    "shape",
    [
        (10**15,),
        (2**32, 2**32),
        (0, 10**15),
        (-1,),
        (-1, -1),
        (1,) * 33,
        (1.0,),
        ("1",),
        (True,),
        [1],
        None,
    ],
)
def test_what_is_no_shape_or_too_large_a_one_is_refused(shape):
    with pytest.raises(errors.RecordingError, match="a: `b` must have a shape and at most"):
        files.check_shape("a", "b", shape, 8)
