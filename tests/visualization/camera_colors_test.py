from keras_mvlift.visualization import camera_colors


def test_twelve_cameras_have_twelve_different_lines():
    lines = {tuple(camera_colors.line(view).items()) for view in range(12)}
    assert len(lines) == 12
