import numpy as np
import pytest

from keras_mvlift.cli import main
from keras_mvlift.lifting import pose_clip
from tests.serving import stand_in

CAMERA = ["--intrinsics", 1100, 1120, 510, 490]


@pytest.fixture(scope="module")
def servers(model):
    with stand_in.serving({1: model}, {"stable": 1}) as (_, found):
        yield found


@pytest.fixture
def seen(tmp_path):
    path = tmp_path / "seen.npz"
    keypoints = np.random.default_rng(0).uniform(300, 700, (6, 17, 2))
    np.savez(path, keypoints_2d=keypoints, frame_rate=50, skeleton="h36m_17")
    return path


def run(seen, output, *arguments):
    return main.main(["lift", *map(str, [seen, "--output", output, *arguments])])


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("camera", [CAMERA, []])
def test_a_server_lifts_what_the_model_here_lifts(model, servers, seen, tmp_path, scheme, camera):
    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    assert run(seen, here, "--model", model, *camera) == 0
    address = f"{servers[scheme]}/mvlift/labels/stable"
    assert run(seen, there, "--server", address, "--model", model, *camera) == 0
    expected, lifted = pose_clip.read(here), pose_clip.read(there)
    assert lifted.space == expected.space == ("camera" if camera else "root")
    assert np.abs(expected.tracks[0].pose).max() > 0.1
    np.testing.assert_allclose(lifted.tracks[0].pose, expected.tracks[0].pose, atol=1e-4)
    assert lifted.about["model"] == address


def test_a_known_camera_needs_no_model_here(servers, seen, tmp_path):
    assert run(seen, tmp_path / "a.npz", "--server", servers["grpc"], *CAMERA) == 0
    assert pose_clip.read(tmp_path / "a.npz").space == "camera"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "`model` must be given, or --server. Received: neither."),
        (["--server", "GRPC"], "`camera` must be told by --fov, --intrinsics or --calibration"),
        (["--server", "localhost:8500", *CAMERA], "`server` must be grpc[s]://HOST"),
        (["--server", "GRPC/gone", *CAMERA], "NOT_FOUND: Servable not found for request: gone."),
        (["--server", "http://127.0.0.1:1", *CAMERA], "the server must be up and reachable."),
    ],
)
def test_what_does_not_do_is_one_sentence(servers, seen, tmp_path, refused, arguments, sentence):
    asked = [str(each).replace("GRPC", servers["grpc"]) for each in arguments]
    refused(sentence, "lift", seen, "--output", tmp_path / "a.npz", *asked)
    assert not (tmp_path / "a.npz").exists()
