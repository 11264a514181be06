"""What mypy knows of TensorFlow: that it exists, and that `tf.function` keeps a function's type."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

_F = TypeVar("_F", bound=Callable[..., Any])

__version__: str

def __getattr__(name: str) -> Any: ...
@overload
def function(
    func: _F,
    /,
    *,
    input_signature: Any = ...,
    jit_compile: bool | None = ...,
    reduce_retracing: bool = ...,
    autograph: bool = ...,
) -> _F: ...
@overload
def function(
    *, input_signature: Any = ..., jit_compile: bool | None = ..., reduce_retracing: bool = ..., autograph: bool = ...
) -> Callable[[_F], _F]: ...
