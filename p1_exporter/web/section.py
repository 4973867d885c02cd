"""Sections of the web configuration: unknown keys and values of the wrong kind are errors that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from p1_exporter.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

T = TypeVar("T")


class Section:
    """The keys and values under `name`, "" for the file itself. Empty where the file has nothing there.

    Raises:
        UserError: from the constructor and all methods; names the key, not the file.
    """

    def __init__(self, name: str, value: object, known: Collection[str] | None = None) -> None:
        """Take what the YAML parser gave; with `known`, no other key may occur."""
        self._name = name
        self._values: dict[str, object] = {}
        if value is not None and not isinstance(value, dict):
            raise UserError(f"{name or 'the file'}: 'key: value' lines are needed here, not {_kind(value)}.")
        for key, item in (value or {}).items():
            if not isinstance(key, str) or (known is not None and key not in known):
                hint = f" Known are: {', '.join(known)}." if known else " Put it in quotes."
                raise UserError(f"{self._path(key)}: unknown key.{hint}")
            self._values[key] = item

    def __bool__(self) -> bool:
        return bool(self._values)

    def section(self, key: str, known: Collection[str] | None = None) -> Section:
        """Return the section under this one."""
        return Section(self._path(key), self._values.get(key), known)

    def strings(self) -> dict[str, str]:
        """Return all of it, if every value is text."""
        return {key: self.string(key) for key in self._values}

    def string(self, key: str) -> str:
        """Return text, "" where there is none."""
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            raise UserError(f"{self._path(key)}: text is needed, not {_kind(value)}. Put it in quotes.")
        return value or ""

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a truth value."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise UserError(f"{self._path(key)}: true or false is needed, not {_kind(value)}.")
        return value

    def choice(self, key: str, choices: Mapping[str, T], default: str) -> T:
        """Return what the name given stands for."""
        return self._chosen(key, self.string(key) or default, choices)

    def choices(self, key: str, choices: Mapping[str, T]) -> list[T]:
        """Return what each name of a list stands for."""
        names = self._values.get(key) or []
        if not isinstance(names, list):
            raise UserError(f"{self._path(key)}: a list is needed, not {_kind(names)}.")
        return [self._chosen(key, name, choices) for name in names]

    def _chosen(self, key: str, name: object, choices: Mapping[str, T]) -> T:
        if not isinstance(name, str) or name not in choices:
            raise UserError(
                f"{self._path(key)}: {name!r} is not known here. Choose from: {', '.join(choices)}."
            )
        return choices[name]

    def _path(self, key: object) -> str:
        return f"{self._name}.{key}" if self._name else str(key)


def _kind(value: object) -> str:
    """Name the type of a value, not the value, which may be a secret."""
    return type(value).__name__
