import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import pose2sim
from pipeline import presets

FILES = {
    "rig.yaml": "rig",
    "calibration/Calib.qca.txt": "recording",
    "pose/cam1_json/a_000.json": "recording",
    "S1/MyPoseFeatures/D3_Positions/Directions.cdf": "human36m",
    "data_3d_h36m.npz": "human36m",
    "detections.pickle": "human36m",
    "S1/Seq1/annot.mat": "mpi_inf_3dhp",
    "mpi_inf_3dhp_test_set/TS1/annot_data.mat": "mpi_inf_3dhp",
    "data_train_3dhp.npz": "mpi_inf_3dhp",
    "keypoints2d/gBR_sBM_cAll_d04_mBR0_ch01.pkl": "aistpp",
    "cameras/mapping.txt": "aistpp",
}


def put(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(root)


@pytest.mark.parametrize(("name", "preset"), FILES.items())
def test_one_file_is_enough_to_tell(name, preset, tmp_path):
    assert presets.recognize(put(tmp_path, name, "README.txt")) == preset


def test_the_embedded_recording_is_a_recording():
    assert presets.recognize(pose2sim.demo_root()) == "recording"


def test_a_manifest_may_be_named_itself(tmp_path):
    put(tmp_path, "studio.yaml", "S1/Seq1/annot.mat")
    assert presets.recognize(str(tmp_path / "studio.yaml")) == "rig"


def test_what_is_recognized_has_a_preset():
    assert set(FILES.values()) <= {*presets.PRESETS, *presets.OF_FOLDER} == {*presets.NAMES}


@pytest.mark.parametrize(
    ("names", "received"),
    [
        ([], "Received: nothing."),
        (["videos/a.mp4", "notes.txt"], r"Received: notes\.txt, videos\."),
        (["data_3d_h36m.npz", "rig.yaml"], "Received: signs of rig and human36m"),
    ],
)
def test_an_unknown_folder_is_told_what_would_be_known(names, received, tmp_path):
    with pytest.raises(errors.RecordingError, match=rf"hold one of .*Human3\.6M.*{received}"):
        presets.recognize(put(tmp_path, *names))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(errors.RecordingError, match=r"missing: `data_root` must exist"):
        presets.recognize(str(tmp_path / "missing"))
