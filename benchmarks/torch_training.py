"""The training step of `MultiViewLifter` on pairs, in PyTorch: what `torch_process` runs.

It needs PyTorch and NumPy alone. A line asks for the loss and its gradient's norm at the start,
without dropout, or for the seconds of some steps, with it, and is answered with a JSON list.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import torch

_MIN_DEPTH = 0.1
_MAX_ROOT_ERROR = 10.0
_DAMPING = 1e-7


class _Block(torch.nn.Module):
    def __init__(self, inner: torch.nn.Sequential):
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def _network(start: Any, name: str, dropout: float) -> torch.nn.Sequential:
    """Builds a residual network of the given weights, dense layer by dense layer."""

    def dense(number: int) -> torch.nn.Linear:
        kernel, bias = (start[f"{name}.{number}.{part}"] for part in ("kernel", "bias"))
        layer = torch.nn.Linear(*kernel.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(kernel.T))
            layer.bias.copy_(torch.from_numpy(bias))
        return layer

    def dense_layer(number: int) -> list[torch.nn.Module]:
        layer = dense(number)
        norm = torch.nn.BatchNorm1d(layer.out_features)
        return [layer, norm, torch.nn.ReLU(), torch.nn.Dropout(dropout)]

    size, num_blocks = int(start["layers_per_block"]), int(start["num_blocks"])
    numbers = [range(1 + block * size, 1 + (block + 1) * size) for block in range(num_blocks)]
    blocks = [
        _Block(torch.nn.Sequential(*(part for number in block for part in dense_layer(number))))
        for block in numbers
    ]
    return torch.nn.Sequential(*dense_layer(0), *blocks, dense(1 + num_blocks * size))


def _project(points: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    focal = torch.diagonal(intrinsics, dim1=-2, dim2=-1)[:, None, :2]
    depth = points[..., 2:].clamp(min=_MIN_DEPTH)
    stretch = 1 + (depth - points[..., 2:]) / _MIN_DEPTH
    return stretch * points[..., :2] / depth * focal + intrinsics[:, None, :2, 2]


class _Step:
    """The networks, their optimizer and the batch; views are the sources, then the targets."""

    def __init__(self, start: Any, dropout: float):
        fields = ("keypoints_2d", "confidence", "intrinsics", "rotation", "center")
        self.seen = {name: torch.from_numpy(start[name]) for name in fields}
        other = {name: field.roll(len(field) // 2, dims=0) for name, field in self.seen.items()}
        self.other = other
        self.networks = [_network(start, name, dropout) for name in ("lifting", "root")]
        self.weights = [weight for net in self.networks for weight in net.parameters()]
        self.optimizer = torch.optim.Adam(self.weights, float(start["learning_rate"]), eps=1e-7)
        self.clip_norm = float(start["clip_norm"])
        self.is_solved = str(start["recipe"]) == "solved_root"
        self.head = {name: float(start[name]) for name in ("a", "b", "z_rig")}
        # The other view's camera as each view's own sees it.
        self.turn = other["rotation"] @ self.seen["rotation"].transpose(1, 2)
        shift = other["center"] - self.seen["center"]
        self.center = torch.einsum("bij,bj->bi", self.seen["rotation"], shift)

    def __call__(self) -> None:
        self.gradient()
        torch.nn.utils.clip_grad_norm_(self.weights, self.clip_norm)
        self.optimizer.step()

    def gradient(self) -> tuple[float, float]:
        """Returns the loss and the norm of its gradient, which the weights then have."""
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        norms = torch.stack([weight.grad.norm() for weight in self.weights])
        return float(loss.detach()), float(norms.norm())

    def loss(self) -> torch.Tensor:
        rays = self._rays(self.seen)
        outputs, root_outputs = (network(rays.flatten(1)) for network in self.networks)
        pose = outputs.view(-1, rays.shape[1], 3)
        root, root_loss = self._root(root_outputs, rays), torch.zeros(1)
        if self.is_solved:
            pose = pose - pose[:, :1]
            solved = self._solve(pose, rays)
            root_loss = (root - solved.detach()).norm(dim=-1).clamp(max=_MAX_ROOT_ERROR)
            root = solved
        points = pose + root[:, None]
        moved = (points - self.center[:, None]) @ self.turn.transpose(1, 2)
        errors = self._error(points, self.seen) + self._error(moved, self.other)
        # Of a pair both views count.
        return 2 * (errors + root_loss).mean()

    def _rays(self, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        focal = torch.diagonal(seen["intrinsics"], dim1=-2, dim2=-1)[:, None, :2]
        rays = (seen["keypoints_2d"] - seen["intrinsics"][:, None, :2, 2]) / focal
        return torch.where(seen["confidence"][..., None] > 0, rays, torch.zeros_like(rays))

    def _root(self, outputs: torch.Tensor, rays: torch.Tensor) -> torch.Tensor:
        if not self.is_solved:
            return outputs
        bounded = outputs.tanh()
        depth = self.head["z_rig"] * (self.head["a"] * bounded[:, 2:]).exp()
        return torch.cat([(rays[:, 0] + self.head["b"] * bounded[:, :2]) * depth, depth], dim=-1)

    def _solve(self, pose: torch.Tensor, rays: torch.Tensor) -> torch.Tensor:
        own_turn = torch.eye(3).expand_as(self.turn)
        moved = (pose - self.center[:, None]) @ self.turn.transpose(1, 2)
        left, right = torch.zeros(1, 3, 3), torch.zeros(1, 3)
        for turn, points, seen, toward in (
            (own_turn, pose, self.seen, rays),
            (self.turn, moved, self.other, self._rays(self.other)),
        ):
            rows = turn[:, None, :2] - toward[..., None] * turn[:, None, 2:]
            missed = points[..., :2] - toward * points[..., 2:]
            rows, missed = rows.flatten(1, 2), missed.flatten(1, 2)
            squared = seen["confidence"].square().repeat_interleave(2, dim=1)
            weighted = squared[..., None] * rows
            left = left + rows.transpose(1, 2) @ weighted
            right = right - (weighted * missed[..., None]).sum(1)
        trace = torch.diagonal(left, dim1=-2, dim2=-1).sum(-1)[:, None, None]
        return torch.linalg.solve(left + (_DAMPING * trace + 1e-9) * torch.eye(3), right)

    def _error(self, points: torch.Tensor, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        # An error counts by the confidence of the view that the pose was lifted from.
        weight = torch.where(seen["confidence"] > 0, self.seen["confidence"], 0.0)
        missed = seen["keypoints_2d"] - _project(points, seen["intrinsics"])
        return (weight * missed.norm(dim=-1)).sum(-1)


def main() -> None:
    """Answers until the input ends."""
    path, num_threads = sys.argv[1:]
    torch.set_num_threads(int(num_threads))
    with np.load(path) as file:
        start = dict(file)
    torch.manual_seed(0)
    step = _Step(start, float(start["dropout"]))
    for line in sys.stdin:
        if line.strip() == "start":
            answer = [*_Step(start, 0.0).gradient()]
        else:
            answer = []
            for _ in range(int(line)):
                before = time.perf_counter()
                step()
                answer.append(time.perf_counter() - before)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
