import cdflib.cdfwrite
import numpy as np
import pytest

from keras_mvlift.datasets.human36m import release
from keras_mvlift.untrusted import files
from tests import refusals
from tests.untrusted import damage


def write(path, values, *, variable="Pose", data_type=45, majority="row_major", **options):
    """Writes a CDF file as the release's own or not quite so."""
    file = cdflib.cdfwrite.CDF(path, cdf_spec={"Majority": majority, **options.pop("file", {})})
    shape = values.shape[1:]
    given = {"Variable": variable, "Data_Type": data_type, "Num_Elements": 1, "Rec_Vary": True}
    # cdflib stores what it is given in the order of its bytes, whatever the file's majority.
    stored = values if majority == "row_major" else values.T.reshape(values.shape)
    file.write_var({**given, "Dim_Sizes": [*shape], "Compress": 0, **options}, var_data=stored)
    file.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "Walking 1.54138969.cdf"


@pytest.mark.parametrize(
    "options",
    [
        *({"majority": "column_major"}, {"Compress": 6}, {"file": {"Compressed": 6}}),
        *({"file": {"Compressed": 6}, "Compress": 9}, {"data_type": 22}, {"variable": "pose"}),
    ],
    ids=str,
)
def test_other_ways_of_storing_the_same_are_read(path, options):
    # Many frames of few values, which compression makes smaller.
    values = np.round(np.random.default_rng(0).uniform(0, 3, (1, 300, 64)))
    write(path, values, **options)
    np.testing.assert_array_equal(release.read_cdf(path, 64), values[0])


def with_number(value):
    values = np.ones((1, 4, 64))
    values[0, 2, 5] = value
    return values


def written(*shape, **options):
    kind = np.int32 if "data_type" in options else np.float64
    return lambda path: write(path, np.ones(shape, kind), **options)


@pytest.mark.parametrize(
    ("spoil", "field", "message"),
    [
        (lambda path: None, "file", "exists"),
        (lambda path: path.write_bytes(b""), "file", "be a CDF file"),
        (lambda path: path.write_bytes(b"no CDF" * 9), "file", "be a CDF file"),
        (lambda path: path.mkdir(), "file", "be a file. Received: something else"),
        (written(1, 4, 96), "Pose", r"have shape \(1, T, 64\).*Received: \(1, 4, 96\)"),
        (written(2, 4, 64), "Pose", r"Received: \(2, 4, 64\)"),
        (written(1, 64), "Pose", r"Received: \(1, 64\)"),
        (written(1, 4, 64, variable="Position"), "Pose", "be a variable of the file.*not found"),
        (written(1, 4, 64, data_type=4), "Pose", "hold floating-point numbers.*CDF type 4"),
        (lambda path: write(path, with_number(np.nan)), "Pose", "be finite.*frame 2"),
        (lambda path: write(path, with_number(np.inf)), "Pose", "be finite.*frame 2"),
    ],
)
def test_another_file_is_refused_by_file_field_rule_and_value(path, spoil, field, message):
    spoil(path)
    refusals.refused(message, release.read_cdf, path, 64, at=(path, field))


def test_a_file_larger_than_any_take_is_refused_unread(path):
    with path.open("wb") as file:
        file.truncate(1 << 30)
    refusals.refused(r"at most .* bytes. Received: 1073741824", release.read_cdf, path, 64)


@pytest.mark.parametrize("options", [{}, {"Compress": 6}, {"file": {"Compressed": 6}}], ids=str)
def test_damage_ends_in_a_refusal_or_in_values(path, options, monkeypatch):
    monkeypatch.setattr(files, "_FREE_SECONDS", 1)
    write(path, np.round(np.random.default_rng(0).uniform(0, 3, (1, 30, 6))), **options)
    data = path.read_bytes()
    refused = damage.assert_only_our_errors(
        lambda: release.read_cdf(path, 6), path, data, count=150
    )
    assert refused > 30


def test_damaged_headers_end_in_a_refusal_or_in_values(path, monkeypatch):
    # Counts in a file drive cdflib's loops.
    monkeypatch.setattr(files, "_FREE_SECONDS", 1)
    # All counts, sizes and links of a file of one variable are among these bytes.
    write(path, np.ones((1, 2, 6)))
    data = path.read_bytes()
    for seed, start in enumerate(range(0, len(data), 64)):

        def read(start=start):
            damaged = path.read_bytes()
            path.write_bytes(data[:start] + damaged[:64].ljust(64) + data[start + 64 :])
            release.read_cdf(path, 6)

        damage.assert_only_our_errors(read, path, data[start : start + 64], seed, count=8)
