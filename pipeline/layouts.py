"""Which data a folder holds, told by the files in it."""

import pathlib

from keras_mvlift import errors

# Preset to the patterns of which one file or folder is enough, and what to say of it.
_SIGNS = {
    "rig": (("rig.yaml", "rig.yml"), "a manifest `rig.yaml`"),
    "recording": (("calibration/*.qca.txt", "pose/*_json"), "Pose2Sim's `calibration` and `pose`"),
    "human36m": (
        ("data_3d_h36m.npz", "data_2d_h36m_*.npz", "S*/MyPoseFeatures", "detections.pickle"),
        "Human3.6M's `S*/MyPoseFeatures` or `data_3d_h36m.npz`",
    ),
    "mpi_inf_3dhp": (
        ("S*/Seq*/annot.mat", "mpi_inf_3dhp_test_set", "data_train_3dhp.npz"),
        "MPI-INF-3DHP's `S*/Seq*/annot.mat` or `data_train_3dhp.npz`",
    ),
    "aistpp": (
        ("keypoints2d/*_cAll_*.pkl", "cameras/mapping.txt"),
        "AIST++'s `keypoints2d` and `cameras/mapping.txt`",
    ),
}


def recognize(data_root: str) -> str:
    """Tells the preset that fits a folder or a manifest.

    Raises:
        RecordingError: If there is nothing, or nothing known, or signs of two kinds of data.
    """
    root = pathlib.Path(data_root)
    if not root.exists():
        raise errors.RecordingError(root, "data_root", "exist", "no such file or folder")
    if root.is_file() and root.suffix in {".yaml", ".yml"}:
        return "rig"
    found = [
        preset
        for preset, (patterns, _) in _SIGNS.items()
        if any(any(root.glob(pattern)) for pattern in patterns)
    ]
    if len(found) != 1:
        known = ", ".join(words for _, words in _SIGNS.values())
        entries = sorted(path.name for path in root.iterdir())[:8] if root.is_dir() else [root.name]
        received = f"signs of {' and '.join(found)}" if found else ", ".join(entries) or "nothing"
        raise errors.RecordingError(root, "data_root", f"hold one of {known}", received)
    return found[0]
