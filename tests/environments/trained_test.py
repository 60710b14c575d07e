import numpy as np

from tests.environments import trained


def test_two_stages_are_trained_and_what_they_came_to_is_lifted_by(tmp_path):
    found = trained.trained(tmp_path)
    first, second = (found[f"{stage}Config/0"] for stage in ("Pretrain", "Finetune"))
    assert all(np.isfinite(value).all() for value in found.values())
    assert np.abs(second - first).max() > 1e-4
    assert np.abs(found["trained/0"] - second).max() > 1e-4
    assert found["FinetuneConfig/loss"] > 0
    assert found["lifted"].shape == (5, 17, 3)
