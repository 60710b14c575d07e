import pytest

from keras_mvlift.serving import clients


@pytest.mark.parametrize(
    ("text", "whole", "is_grpc", "is_secure"),
    [
        ("grpc://localhost", "grpc://localhost:8500/mvlift", True, False),
        ("grpcs://pose.example:443/other/", "grpcs://pose.example:443/other", True, True),
        ("http://10.0.0.1/a/labels/canary", "http://10.0.0.1:8501/a/labels/canary", False, False),
        ("https://pose.example/a/versions/7", "https://pose.example:443/a/versions/7", False, True),
        ("grpc://[::1]:9000/a", "grpc://[::1]:9000/a", True, False),
    ],
)
def test_what_is_left_out_is_filled_in(text, whole, is_grpc, is_secure):
    address = clients.parse(text)
    assert str(address) == whole
    assert (address.is_grpc, address.is_secure) == (is_grpc, is_secure)
    assert clients.parse(whole) == address


@pytest.mark.parametrize(
    "text",
    [
        "localhost:8500",
        "ftp://localhost",
        "grpc://",
        "grpc://host:port",
        "grpc://host:99999",
        "grpc://host/a/b",
        "grpc://host/a/labels/",
        "grpc://host/a/versions/new",
        "grpc://host/a/labels/b/c",
        "http://host/a?version=1",
        "http://me:secret@host/a",
        "grpc://ho st/a",
        "grpc://[::1/a",
    ],
)
def test_other_addresses_are_refused(text):
    with pytest.raises(ValueError, match=r"`server` must be grpc\[s\]://HOST"):
        clients.parse(text)
