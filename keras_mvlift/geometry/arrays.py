"""NumPy and TensorFlow under one set of names, so that each formula is written once.

A formula asks for the functions that fit its arrays: NumPy's own, or TensorFlow's under NumPy's
names. TensorFlow is imported where there is a tensor, and nowhere else.
"""

import functools
import types
from typing import Any

import numpy as np

Array = Any
"""A NumPy array (or what makes one), or a tensor of TensorFlow."""

_FOR_NUMPY = (np.ndarray, np.generic, int, float, list, tuple)


def namespace(*values: Array) -> Any:
    """Returns `numpy`, or for a tensor among the values TensorFlow under NumPy's names."""
    return np if all(isinstance(value, _FOR_NUMPY) for value in values) else _tensorflow()


def convert(*values: Array) -> tuple[Any, ...]:
    """Makes all values arrays, or if there is a tensor among them tensors, of one type.

    Returns:
        The namespace, and the values in the type of the first one (the first tensor, of tensors);
        double precision for integers of NumPy.
    """
    xp = namespace(*values)
    if xp is np:
        given = np.asarray(values[0]).dtype
        dtype = given if given.kind == "f" else np.dtype(np.float64)
    else:
        is_tensor = [not isinstance(value, _FOR_NUMPY) for value in values]
        dtype = values[0].dtype if is_tensor[0] else values[is_tensor.index(True)].dtype
    return xp, *(xp.asarray(value, dtype=dtype) for value in values)


def check_shapes(**stated: tuple[Array, str]) -> None:
    """Refuses arrays whose trailing axes are not as stated.

    Args:
        **stated: By the argument's name the array and its trailing axes, such as `"J 3"`: a number
            is a size, a letter a size that is the same wherever the letter stands.

    Raises:
        ValueError: If one differs, as far as its shape is known.
    """
    sizes: dict[str | int, Any] = {}
    for name, (value, axes) in stated.items():
        if getattr(value.shape, "rank", 0) is None:
            continue
        expected, shape = _axes(axes), tuple(value.shape)
        trailing = shape[-len(expected) :]
        is_right = len(trailing) == len(expected)
        for axis, size in zip(expected, trailing, strict=False):
            known = sizes.get(axis, axis)
            is_right &= size is None or isinstance(known, str) or known == size
        if not is_right:
            bound = [f"{axis} = {sizes[axis]}" for axis in expected if axis in sizes]
            rule = f"[..., {', '.join(map(str, expected))}]" + (
                f" with {' and '.join(bound)}" if bound else ""
            )
            raise ValueError(f"`{name}` must have shape {rule}. Received: {shape}.")
        for axis, size in zip(expected, trailing, strict=True):
            if size is not None and isinstance(axis, str):
                sizes[axis] = size


@functools.cache
def _axes(text: str) -> tuple[str | int, ...]:
    return tuple(int(axis) if axis.isdigit() else axis for axis in text.split())


def matvec(matrix: Array, vector: Array) -> Array:
    """Multiplies matrices `[..., M, N]` with vectors `[..., N]`."""
    if namespace(matrix, vector) is np:
        return np.einsum("...mn,...n->...m", matrix, vector)
    return _tensorflow().matvec(matrix, vector)


def times_transposed(first: Array, second: Array) -> Array:
    """Multiplies matrices `[..., M, N]` with the transposes of `[..., K, N]`."""
    if namespace(first, second) is np:
        return np.asarray(first) @ np.swapaxes(second, -1, -2)
    return _tensorflow().matmul(first, second, transpose_b=True)


def transposed_times(first: Array, second: Array) -> Array:
    """Multiplies the transposes of matrices `[..., N, M]` with `[..., N, K]`."""
    if namespace(first, second) is np:
        return np.swapaxes(first, -1, -2) @ np.asarray(second)
    return _tensorflow().matmul(first, second, transpose_a=True)


def transpose(matrix: Array) -> Array:
    """Exchanges the last two axes."""
    xp = namespace(matrix)
    return np.swapaxes(matrix, -1, -2) if xp is np else xp.matrix_transpose(matrix)


def unstack(vector: Array) -> tuple[Array, ...]:
    """Returns the entries along the last axis."""
    xp = namespace(vector)
    return tuple(np.moveaxis(vector, -1, 0) if xp is np else xp.unstack(vector, axis=-1))


def divide(numerator: Array, denominator: Array) -> Array:
    """Divides; 0 where the denominator is 0."""
    xp = namespace(numerator, denominator)
    is_zero = denominator == 0
    safe = xp.where(is_zero, xp.ones_like(denominator), denominator)
    return xp.where(is_zero, xp.zeros_like(denominator), numerator / safe)


def cast(value: Array, dtype: Any) -> Array:
    """Converts numbers or truths to a type."""
    xp = namespace(value)
    return np.asarray(value, dtype) if xp is np else xp.cast(value, dtype)


def merge_last_axes(value: Array) -> Array:
    """Makes one axis of the last two."""
    xp = namespace(value)
    if xp is np:
        return value.reshape(*value.shape[:-2], value.shape[-2] * value.shape[-1])
    return xp.reshape(value, xp.concatenate([xp.shape(value)[:-2], [-1]], axis=0))


@functools.cache
def _tensorflow() -> types.SimpleNamespace:
    import tensorflow as tf

    def svd(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        singular, left, right = tf.linalg.svd(matrix)
        return left, singular, tf.linalg.matrix_transpose(right)

    def take_along_axis(values: tf.Tensor, index: tf.Tensor, axis: int) -> tf.Tensor:
        # Whatever lies behind the axis is taken whole: the index has ones there.
        for _ in range(axis, -1):
            index = tf.squeeze(index, axis=-1)
        return tf.gather(values, index, axis=axis, batch_dims=-1)

    same = "argmin cast cos einsum expand_dims eye maximum minimum ones_like repeat reshape shape"
    same += " sign sin sort sqrt square stack unstack where zeros_like"
    linalg = {name: getattr(tf.linalg, name) for name in ("det", "norm", "solve")}
    return types.SimpleNamespace(
        **{name: getattr(tf, name) for name in same.split()},
        any=tf.reduce_any,
        asarray=tf.convert_to_tensor,
        concatenate=tf.concat,
        count_nonzero=tf.math.count_nonzero,
        linalg=types.SimpleNamespace(svd=svd, **linalg),
        max=tf.reduce_max,
        matmul=tf.linalg.matmul,
        matrix_transpose=tf.linalg.matrix_transpose,
        matvec=tf.linalg.matvec,
        min=tf.reduce_min,
        sum=tf.reduce_sum,
        take=tf.gather,
        take_along_axis=take_along_axis,
    )
