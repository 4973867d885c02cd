"""Modules that a library imports and this program has no use for: loaded only if somebody uses them after all."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _Deferred(ModuleType):
    """Stands for a module until one of its attributes is asked for.

    `importlib.util.LazyLoader` does not serve: its module is loaded by the next import statement (Python 3.11).
    """

    def __getattr__(self, name: str) -> object:
        if sys.modules[self.__name__] is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def defer(name: str) -> None:
    """Let imports of the module `name` succeed at once, and load it at its first use."""
    sys.modules.setdefault(name, _Deferred(name))


def withhold(name: str) -> None:
    """Let imports of the module `name` fail, as if it were not installed: for those who can do without it."""
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # that is how Python marks it; typeshed does not know
