"""The one door to numba: what is `compiled` looks to everybody else like the plain function it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core import cgutils, config
from numba.extending import intrinsic
from numba.np import arrayobj

_Function = TypeVar("_Function", bound=Callable[..., object])
_Array = TypeVar("_Array")
# Parts of numba without types.
_make_array: Any = arrayobj.make_array
_null: Any = cgutils.get_null_value
_config: Any = config
_no_bit_set_is_undefined: Any = cgutils.true_bit


def compiled(function: _Function) -> _Function:
    """The function as machine code, made at its first call and kept beside its file for later processes.

    Where nothing can be kept (a read-only installation without a home directory; `NUMBA_CACHE_DIR` names
    another place), each process compiles anew.  The kept code of a function does not notice changes of
    functions in other files, so whatever is compiled together belongs into one file.
    With `NUMBA_DISABLE_JIT=1` the function stays as it is.
    """
    try:
        kept = numba.njit(cache=True, forceinline=True)(function)
    except RuntimeError:  # numba found no directory that it may write to
        kept = numba.njit(forceinline=True)(function)
    return cast("_Function", kept)


@intrinsic
def _uncounted(_typing: Any, array: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = _make_array(signature.args[0])(context, builder, arguments[0])
        view.meminfo = _null(view.meminfo.type)
        view.parent = _null(view.parent.type)
        return view._getvalue()  # noqa: SLF001  # numba's way to say it

    return array(array), code


def _itself(array: _Array) -> _Array:
    return array


borrowed: Callable[[_Array], _Array] = _itself if _config.DISABLE_JIT else cast("Any", _uncounted)
"""In compiled code: the array without its owner, so that nobody counts references to it.

Counting costs ten times what the kernel's events do.  The caller keeps the array alive; never return it.
"""


@intrinsic
def _trailing_zeros(_typing: Any, word: Any) -> Any:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], _no_bit_set_is_undefined)

    return word(word), code


def _bits_below_lowest(word: int) -> int:
    return (int(word) & -int(word)).bit_length() - 1


lowest_bit: Callable[[int], int] = _bits_below_lowest if _config.DISABLE_JIT else cast("Any", _trailing_zeros)
"""In compiled code: the place of the lowest bit that is set; some bit must be."""
