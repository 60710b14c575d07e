from keras_mvlift.visualization import rig_report


def test_twelve_cameras_have_twelve_different_lines():
    lines = {tuple(rig_report.camera_line(view).items()) for view in range(12)}
    assert len(lines) == 12
