"""Compiled code in several files: what is kept on disk knows when one of them has changed."""

from __future__ import annotations

import importlib.util
import sys

import pytest

INNER = """
from simulations.linked import part

@part
def factor():
    return {factor}
"""
OUTER = """
import kept_inner
from kept_inner import factor
from simulations.compiled import compiled
from simulations.linked import door

@{how}
def product(number):
    return number * factor()
"""


@pytest.fixture
def product(tmp_path, monkeypatch):
    """Writes the two files, imports them as a new process would, and calls the outer one."""

    def call(how, factor):
        sources = {"kept_inner": INNER.format(factor=factor), "kept_outer": OUTER.format(how=how)}
        for name, source in sources.items():
            path = tmp_path / f"{name}.py"
            if not path.exists() or path.read_text() != source:
                path.write_text(source)
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, name, module)
            monkeypatch.setattr(sys, "dont_write_bytecode", True)
            spec.loader.exec_module(module)
        return module.product(2)

    return call


def test_a_door_notices_what_changed_behind_it(product):
    """The same outer file gives the new answer; the code that is kept is made anew."""
    assert product("door(kept_inner)", 10) == 20
    assert product("door(kept_inner)", 10) == 20
    assert product("door(kept_inner)", 11) == 22


def test_without_a_door_old_code_would_be_kept(product):
    """This is what numba does by itself, and why there are doors."""
    assert product("compiled", 10) == 20
    assert product("compiled", 11) == 20
