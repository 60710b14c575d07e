import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import person_detector, video
from tests.lifting import made_films
from tests.lifting import person_detector_movenet_test as movenet_test

mediapipe = pytest.importorskip("mediapipe", reason="MediaPipe comes with the extra `video`.")


def speak(text):
    """Writes as a native library does."""
    os.write(2, text.encode())


NAMES = person_detector.SKELETON.joints


def detect(*pictures):
    with person_detector.opened() as network:
        found = [person_detector.find_person(network, picture) for picture in pictures]
        return [dict(zip(NAMES, joints, strict=True)) for joints in found]


def test_a_film_becomes_one_persons_tracks(tmp_path):
    person = made_films.full_length()
    pictures = np.stack([person, person, np.roll(person, 20, axis=1), *3 * [0 * person]])
    film = video.inspect(made_films.write(tmp_path / "film.mp4", pictures))
    counted = []
    tracks = person_detector.detect(film, lambda frames: counted.append(1) or frames)
    assert counted == [1]
    assert (tracks.names, tracks.joint_names) == (("person 1",), skeletons.MEDIAPIPE_33.joints)
    assert (tracks.frame_rate, tracks.image_size, tracks.num_frames) == (25.0, (272, 480), 6)
    shift = np.diff(tracks.keypoints_2d[0, :3, :, 0].mean(axis=1))
    assert shift[0] == pytest.approx(0, abs=6)
    assert shift[1] == pytest.approx(20, abs=6)
    # The two last frames, of which it has given up to follow the person, show nobody.
    assert (tracks.confidence[0, -1] == 0).all()
    assert (tracks.confidence[0, :3].mean(axis=1) > 0.5).all()


def test_a_film_of_nobody_is_refused_by_name(tmp_path):
    film = video.inspect(made_films.write(tmp_path / "film.mp4"))
    rule = r"film.mp4: `video` must show a person whom MediaPipe finds\. Received: 6 frames"
    with pytest.raises(errors.RecordingError, match=rule):
        person_detector.detect(film)


def test_what_native_libraries_say_is_held_back(capfd):
    with person_detector.quiet_standard_error():
        speak("INFO: chatter\n")
    speak("after\n")
    assert capfd.readouterr().err == "after\n"


def test_what_was_said_before_a_failure_comes_out(capfd):
    def fail():
        speak("E: the reason\n")
        raise RuntimeError("no graph")

    with pytest.raises(RuntimeError, match="no graph"), person_detector.quiet_standard_error():
        fail()
    speak("after\n")
    assert capfd.readouterr().err == "E: the reason\nafter\n"


def test_no_file_stays_open():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with person_detector.quiet_standard_error():
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_detector_says_nothing(capfd):
    detect(made_films.portrait())
    assert capfd.readouterr() == ("", "")


def test_left_is_the_persons_left_and_joints_outside_are_not_seen():
    (seen,) = detect(made_films.portrait())
    # She faces the camera: her left is at the picture's right.
    for joint in ("eye", "ear", "shoulder"):
        assert seen[f"left_{joint}"][0] > seen[f"right_{joint}"][0] + 30
    assert seen["nose"][:2] == pytest.approx((270, 225), abs=15)
    assert seen["left_shoulder"][:2] == pytest.approx((456, 428), abs=25)
    assert seen["nose"][2] > 0.9
    # The picture ends above her elbows.
    for joint in ("left_elbow", "right_wrist", "left_hip", "right_ankle"):
        assert seen[joint].tolist() == [0, 0, 0]


def test_the_whole_body_is_found_and_is_upright():
    (seen,) = detect(made_films.full_length())
    assert sum(joint[2] > 0.3 for joint in seen.values()) > 25
    for side in ("left", "right"):
        heights = [seen[f"{side}_{joint}"][1] for joint in ("shoulder", "hip", "knee", "ankle")]
        assert heights == sorted(heights)
        assert heights[-1] - heights[0] > 60
    places = np.array([joint[:2] for joint in seen.values()])
    assert (places < (272, 480)).all()


def test_nobody_is_found_where_nobody_is():
    picture = made_films.full_length()
    *_, nobody = detect(picture, np.zeros_like(picture), np.zeros_like(picture))
    assert not any(joint.any() for joint in nobody.values())


def test_landmarks_become_pixels_and_those_outside_nothing():
    landmarks = np.full((33, 3), 0.5)
    landmarks[1] = (1.0, 0.5, 0.9)
    landmarks[2] = (0.2, -0.01, 0.9)
    landmarks[3] = (0.25, 0.75, 1.00001)
    joints = person_detector._in_pixels(landmarks, (200, 400))
    assert joints[0].tolist() == [100, 200, 0.5]
    assert joints[1].tolist() == joints[2].tolist() == [0, 0, 0]
    assert joints[3].tolist() == [50, 300, 1]


def test_the_joints_are_in_the_detectors_own_order():
    from mediapipe.python.solutions import pose

    theirs = [landmark.name.lower() for landmark in pose.PoseLandmark]
    assert list(skeletons.MEDIAPIPE_33.joints) == theirs


def test_without_the_extra_the_error_says_what_to_install():
    code = "import sys; sys.modules['mediapipe'] = None\n"
    code += "from keras_mvlift.lifting import person_detector\n"
    code += "person_detector.opened().__enter__()"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "model.json: pip install 'keras-mvlift[video]'. Received: ModuleNot" in failed.stderr


def own(name):
    return pathlib.Path(mediapipe.__file__).parent / "modules" / name


LANDMARKS = "pose_landmark/pose_landmark_full.tflite"


def test_another_network_of_landmarks_is_used_and_its_own_afterwards(tmp_path):
    film = video.inspect(made_films.write(tmp_path / "a.mp4", made_films.full_length()[np.newaxis]))
    usual = person_detector.detect(film).keypoints_2d
    network = bytearray(own(LANDMARKS).read_bytes())
    same = tmp_path / "same.tflite"
    same.write_bytes(network)
    np.testing.assert_array_equal(person_detector.detect(film, model=same).keypoints_2d, usual)
    # Of the weights, in the middle of the file, some are others.
    start = len(network) // 2
    network[start : start + 20000] = bytes(20000)
    other = tmp_path / "other.tflite"
    other.write_bytes(network)
    changed = person_detector.detect(film, model=other).keypoints_2d
    assert np.abs(changed - usual).max() > 1
    np.testing.assert_array_equal(person_detector.detect(film).keypoints_2d, usual)


def test_what_is_no_network_of_landmarks_is_refused_by_name(tmp_path):
    film = video.inspect(made_films.write(tmp_path / "film.mp4"))
    network = own(LANDMARKS).read_bytes()
    # The last would end the process that opens it.
    wrong = {
        "other.tflite": own("pose_detection/pose_detection.tflite").read_bytes(),
        "text.tflite": b"landmarks",
        "half.tflite": network[: len(network) // 2] + person_detector._SHAPE,
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
        rule = f"{name}: `detector-model` must be one of MediaPipe's networks of landmarks"
        with pytest.raises(errors.RecordingError, match=rule):
            person_detector.detect(film, model=tmp_path / name)
    with pytest.raises(errors.RecordingError, match=r"none\.tflite: .* must be a file that exists"):
        person_detector.detect(film, model=tmp_path / "none.tflite")
    with pytest.raises(errors.RecordingError, match=r"a\.onnx: .* a \.tflite of MediaPipe or a"):
        person_detector.detect(film, model=tmp_path / "a.onnx")


def test_movenet_follows_several_people(tmp_path):
    pytest.importorskip("tensorflow", reason="MoveNet's graph is run by TensorFlow.")
    film = video.inspect(made_films.write(tmp_path / "film.mp4"))
    tracks = person_detector.detect(film, model=movenet_test.write(tmp_path))
    assert tracks.names == ("person 1", "person 2")
    assert tracks.joint_names == skeletons.COCO_17.joints
    assert tracks.confidence.shape == (2, 6, 17)
    (picture, *_) = video.read(film)
    network = person_detector.MoveNet(tmp_path / "model.json")
    seen = network.detect(picture)[..., :2]
    # The surer one, by the sum over joints, comes first.
    order = np.argsort(-movenet_test.people()[:2, 2:51:3].sum(axis=1))
    np.testing.assert_allclose(tracks.keypoints_2d[:, 3], seen[order])
    nobody = np.zeros((6, 56)).ravel() - 1
    path = movenet_test.write(tmp_path, values={"more": nobody})
    with pytest.raises(errors.RecordingError, match="must show a person whom MoveNet finds"):
        person_detector.detect(film, model=path)
