"""Compiled code that is spread over several files: parts, and the doors through which Python enters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import numba
from numba.core import cgutils, config
from numba.extending import intrinsic
from numba.np import arrayobj

from simulations.compiled import compiled

_Function = TypeVar("_Function", bound=Callable[..., object])
_Tuple = TypeVar("_Tuple", bound=tuple[Any, ...])
# Pieces of numba without types.
_njit: Any = numba.njit
_make_array: Any = arrayobj.make_array
_cgutils: Any = cgutils
_config: Any = config


def part(function: _Function) -> _Function:
    """A function that only compiled code calls.  It is compiled into its callers and kept with them alone.

    Kept by itself it would not notice changes in the files of the functions it calls.
    """
    return cast("_Function", _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


def door(*modules: ModuleType) -> Callable[[_Function], _Function]:
    """`compiled`, for a function made of parts in these modules.

    The kept code is made anew when the source of one of them changes.
    """

    def made(function: _Function) -> _Function:
        kept: Any = compiled(function)
        file = getattr(getattr(kept, "_cache", None), "_cache_file", None)
        if file is not None:  # nothing is kept where no directory can be written to
            files = (__file__, *(module.__file__ or "" for module in modules))
            digests = [hashlib.sha256(Path(each).read_bytes()).hexdigest() for each in files]
            file._source_stamp = (file._source_stamp, *digests)  # noqa: SLF001 - what numba compares
        return cast("_Function", kept)

    return made


@intrinsic
def _uncounted(_typing: Any, arrays: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args[0].types
        views = []
        for kind, value in zip(kinds, _cgutils.unpack_tuple(builder, arguments[0]), strict=True):
            view = _make_array(kind)(context, builder, value)
            view.meminfo = _cgutils.get_null_value(view.meminfo.type)
            view.parent = _cgutils.get_null_value(view.parent.type)
            views.append(view._getvalue())  # noqa: SLF001 - numba's way to say it
        return context.make_tuple(builder, signature.return_type, views)

    return arrays(arrays), code


def _itself(arrays: _Tuple) -> _Tuple:
    return arrays


all_borrowed: Callable[[_Tuple], _Tuple] = _itself if _config.DISABLE_JIT else cast("Any", _uncounted)
"""In compiled code: a tuple of arrays without their owners, so that nobody counts references to them.

The caller keeps the arrays alive; never return one.
"""
