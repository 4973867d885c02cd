"""The YAML file: from nodes with line numbers to settings.

The document is only composed, never constructed: every scalar is the text that somebody wrote, so that `name:
no` is the name "no", no object is ever made on behalf of the file, and aliases share their nodes instead of
multiplying them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, cast

from p1_exporter.config_values import did_you_mean, quoted
from p1_exporter.errors import UserError
from p1_exporter.options import METER_OPTIONS, OPTIONS, FileMeter, FileSettings, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import yaml

    from p1_exporter.options import Option

    _Node = yaml.MappingNode | yaml.SequenceNode | yaml.ScalarNode

MAX_FILE_BYTES: Final = 1 << 20
# Of the YAML parser: a few for each key. The time that it takes grows with the square of the depth.
MAX_EVENTS: Final = 20_000
MAX_DEPTH: Final = 16
MAX_METERS: Final = 64
MAX_LIST_ITEMS: Final = 64
_STANDARD_TAGS: Final = "tag:yaml.org,2002:"
_NULL: Final = _STANDARD_TAGS + "null"
_METERS: Final = "meters"

_FILE_KEYS: Final = {option.name: option for option in OPTIONS if option.in_file}
_METER_KEYS: Final = {option.meter_key: option for option in METER_OPTIONS}


def read_file(path: Path) -> FileSettings:
    """Read the file at `path`. Raises UserError with file, line and key of what is wrong."""
    return _Document(path).settings()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key and its value in a mapping."""

    key: _Node
    value: _Node


class _Document:
    """One file while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.parent
        self._root = self._compose(self._read())

    def settings(self) -> FileSettings:
        """Return what the file gives."""
        leaves = self._leaves(self._root, {*_FILE_KEYS, _METERS})
        meters = leaves.pop(_METERS, None)
        return FileSettings(
            {path: self._setting(leaf, path, _FILE_KEYS[path]) for path, leaf in leaves.items()},
            None if meters is None else self._meters(meters.value),
        )

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UserError(
                f"--config.file: {quoted(str(self._path))} cannot be read: {reason}. Give the path of a YAML "
                "file that the user of this program may read."
            ) from error
        if len(data) > MAX_FILE_BYTES:
            raise UserError(
                f"--config.file: {self._path} is larger than {MAX_FILE_BYTES} bytes and cannot be a "
                "configuration of this program. Is it the right file?"
            )
        return data

    def _compose(self, data: bytes) -> _Node | None:
        import yaml  # noqa: PLC0415  a mebibyte of memory that only a file is worth

        try:
            self._check_bounds(yaml.parse(data, Loader=yaml.SafeLoader))
            return cast("_Node | None", yaml.compose(data, Loader=yaml.SafeLoader))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f", line {mark.line + 1}" if mark else ""
            what = ": ".join(part for part in (error.context, error.problem) if part)
            hint = " Indent with spaces, not with tabs." if "'\\t'" in what else ""
            raise UserError(f"{self._path}{where}: this is not YAML: {what}.{hint}") from error
        except yaml.YAMLError as error:
            raise UserError(f"{self._path}: this is no YAML text in UTF-8. Save it as UTF-8.") from error

    def _check_bounds(self, events: Iterable[yaml.Event]) -> None:
        """Refuse a document before its nodes take too much time and memory."""
        depth = 0
        for count, event in enumerate(events):
            kind = type(event).__name__
            depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
            if count > MAX_EVENTS or depth > MAX_DEPTH:
                raise UserError(f"{self._path}: too many or too deeply nested keys. Is it the right file?")

    def _leaves(self, node: _Node | None, known: set[str], above: str = "") -> dict[str, _Entry]:
        """Return what the mapping `node` and the sections in it give, by dotted path.

        `known` are the paths that may occur, `above` is what messages put in front of them. What is null
        counts as not given.
        """
        leaves: dict[str, _Entry] = {}
        pending = [("", node)]
        while pending:
            section, mapping = pending.pop()
            for entry in self._entries(mapping, above + section):
                path = section + entry.key.value
                is_section = any(name.startswith(f"{path}.") for name in known)
                if path not in known and not is_section:
                    sections = {name.rpartition(".")[0] for name in known} - {""}
                    hint = (
                        did_you_mean(path, sorted(known | sections))
                        or f" Known are: {', '.join(sorted(known))}."
                    )
                    self._fail(entry.key, above + path, f"unknown key.{hint}")
                if path in leaves:
                    self._fail(entry.key, above + path, "this key is given twice. Remove one of the two.")
                if is_section:
                    pending.append((f"{path}.", entry.value))
                elif entry.value.tag != _NULL:
                    leaves[path] = entry
        return leaves

    def _entries(self, node: _Node | None, section: str) -> Iterator[_Entry]:
        """Yield the entries of the mapping `node`; there are none in nothing."""
        if node is None or node.tag == _NULL:
            return
        where = section.rstrip(".")
        if node.id != "mapping":
            self._fail(node, where, f"keys with values are wanted here, not {_kind(node)}: write key: value.")
        seen = set()
        for key, value in node.value:
            name = self._text(key, where)
            if name in seen:
                self._fail(key, section + name, "this key is given twice. Remove one of the two.")
            seen.add(name)
            yield _Entry(key, value)

    def _meters(self, node: _Node) -> tuple[FileMeter, ...]:
        meters = []
        for index, item in enumerate(self._items(node, _METERS, MAX_METERS)):
            above = f"{_METERS}[{index}]"
            leaves = self._leaves(item, set(_METER_KEYS), f"{above}.")
            settings = {
                _METER_KEYS[key].name: self._setting(leaf, f"{above}.{key}", _METER_KEYS[key])
                for key, leaf in leaves.items()
            }
            meters.append(FileMeter(self._origin(item, above), settings))
        return tuple(meters)

    def _setting(self, leaf: _Entry, key: str, option: Option) -> Setting:
        is_list = option.repeatable and leaf.value.id == "sequence"
        nodes = self._items(leaf.value, key, MAX_LIST_ITEMS) if is_list else [leaf.value]
        return Setting(
            self._origin(leaf.key, key), tuple(self._text(item, key) for item in nodes), self._folder
        )

    def _items(self, node: _Node, key: str, most: int) -> list[_Node]:
        """Return the items of the list `node`, at least one and at most `most`."""
        if node.id != "sequence":
            self._fail(node, key, f"a list is wanted here, not {_kind(node)}: begin every item with a dash.")
        if not 0 < len(node.value) <= most:
            self._fail(
                node, key, f"a list of 1 to {most} items is wanted here; this one has {len(node.value)}."
            )
        return list(node.value)

    def _text(self, node: _Node, key: str) -> str:
        """Return what is written at the scalar `node`."""
        if node.id != "scalar":
            self._fail(node, key, f"one value is wanted here, not {_kind(node)}.")
        if not node.tag.startswith(_STANDARD_TAGS):
            self._fail(node, key, f"the tag {quoted(node.tag)} means nothing here. Write the value itself.")
        return str(node.value)

    def _origin(self, node: _Node, key: str) -> str:
        where = f"{self._path}, line {node.start_mark.line + 1}"
        return f"{where}: {key}" if key else where

    def _fail(self, node: _Node, key: str, what: str) -> NoReturn:
        """Raise the UserError that says where `node` stands."""
        # A key that is no key of this program may be of any length and hold anything.
        shown = "".join(character if character.isprintable() else "?" for character in key[:200])
        raise UserError(f"{self._origin(node, shown)}: {what}")


def _kind(node: _Node) -> str:
    """Return the word for what `node` is."""
    return {"mapping": "a group of keys", "sequence": "a list"}.get(node.id, "text")
