"""Two PyTorch networks of the shape of a model's, timed: what `torch_process` runs.

It needs PyTorch and NumPy alone. It reads lines of a batch size and a number of calls, and answers
each with a JSON list of the seconds that the calls took.
"""

import json
import sys
import time
from typing import Any

_STATISTICS_SEED = 0
_NUM_JOINTS = 17


def _network(torch: Any, num_outputs: int, width: int, num_blocks: int, layers: int) -> Any:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Sequential(
                *(part for _ in range(layers) for part in dense_layer(width))
            )

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)

    def dense_layer(num_inputs: int) -> tuple[Any, Any]:
        # Batch norms are folded here, too.
        return torch.nn.Linear(num_inputs, width), torch.nn.ReLU()

    blocks = [Block() for _ in range(num_blocks)]
    last = torch.nn.Linear(width, num_outputs)
    return torch.nn.Sequential(*dense_layer(2 * _NUM_JOINTS), *blocks, last).eval()


def main() -> None:
    """Answers until the input ends."""
    import numpy as np
    import torch

    width, num_blocks, layers_per_block, num_threads = map(int, sys.argv[1:])
    torch.set_num_threads(num_threads)
    shape = (width, num_blocks, layers_per_block)
    networks = [_network(torch, count, *shape) for count in (3 * _NUM_JOINTS, 3)]
    size = sum(4 * x.numel() for network in networks for x in network.parameters())
    rng = np.random.default_rng(_STATISTICS_SEED)
    for line in sys.stdin:
        answer: Any = size
        if line.strip() != "size":
            batch_size, num_calls = map(int, line.split())
            rays = rng.normal(size=(batch_size, 2 * _NUM_JOINTS)).astype(np.float32)
            answer = []
            with torch.inference_mode():
                for _ in range(num_calls):
                    start = time.perf_counter()
                    _ = [network(torch.from_numpy(rays)).numpy() for network in networks]
                    answer.append(time.perf_counter() - start)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
