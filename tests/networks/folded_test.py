import numpy as np
import pytest

from keras_mvlift.networks import folded
from tests import temporal_networks


@pytest.mark.parametrize("is_causal", [False, True])
def test_folded_layers_give_what_the_network_gives(is_causal):
    model = temporal_networks.trained(is_causal=is_causal)
    arrays = folded.fold(model)
    windows = temporal_networks.clip(45, 4)

    def layer(x, number):
        return np.maximum(x @ arrays[f"kernel_{number}"] + arrays[f"bias_{number}"], 0)

    x = layer(windows.reshape(4, 15, 3 * 34), 0)
    for block, size in ((1, 5), (2, 3)):
        taps = x.reshape(4, -1, size, 16)
        shortcut = taps[:, :, -1 if is_causal else size // 2]
        stacked = taps.reshape(4, -1, size * 16)
        x = shortcut + layer(layer(stacked, 2 * block - 1), 2 * block)
    outputs = x[:, 0] @ arrays["kernel_outputs"] + arrays["bias_outputs"]
    np.testing.assert_allclose(outputs, model(windows), atol=1e-5)


@pytest.mark.parametrize("is_causal", [False, True])
def test_they_say_what_network_it_is(is_causal):
    arrays = folded.fold(temporal_networks.trained(is_causal=is_causal))
    assert arrays["filter_widths"].tolist() == [3, 5, 3]
    assert bool(arrays["is_causal"]) is is_causal


def test_a_file_holds_plain_arrays(tmp_path):
    model = temporal_networks.trained()
    folded.save(model, tmp_path / "network.npz")
    with np.load(tmp_path / "network.npz", allow_pickle=False) as file:
        assert {name: file[name].tolist() for name in file.files} == {
            name: values.tolist() for name, values in folded.fold(model).items()
        }
