"""What mypy knows of Keras: the few classes that we build on by name. The rest is Any, met here and nowhere else."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__version__: str

def __getattr__(name: str) -> Any: ...

class Variable:
    name: str
    path: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    constraint: Any
    def __init__(
        self, initializer: Any, shape: Any = ..., dtype: Any = ..., trainable: bool = ..., **kw: Any
    ) -> None: ...
    def assign(self, value: Any) -> Any: ...
    def numpy(self) -> np.ndarray[Any, Any]: ...
    def __getattr__(self, name: str) -> Any: ...

class Layer:
    name: str
    path: str
    trainable: bool
    built: bool
    def __call__(self, *args: Any, **kw: Any) -> Any: ...
    def __getattr__(self, name: str) -> Any: ...

class Model(Layer):
    layers: list[Layer]
    weights: list[Variable]
    trainable_variables: list[Variable]
    train_function: Any
    def __init__(self, *args: Any, **kw: Any) -> None: ...
    def get_weights(self) -> list[np.ndarray[Any, Any]]: ...
    def set_weights(self, weights: Sequence[Any]) -> None: ...
    def save(self, filepath: Any, **kw: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...

class Sequential(Model): ...

class _Constraint:
    def __call__(self, w: Any) -> Any: ...
    def get_config(self) -> dict[str, Any]: ...

class _Callback:
    model: Model
    params: dict[str, Any]
    def __getattr__(self, name: str) -> Any: ...

class constraints:  # noqa: N801
    Constraint = _Constraint
    get: Callable[..., Any]
    def __getattr__(self, name: str) -> Any: ...

class callbacks:  # noqa: N801
    Callback = _Callback
    def __getattr__(self, name: str) -> Any: ...
