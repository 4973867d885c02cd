"""The command line of `run` and `check-config`, made from the table of options.

argparse splits flags from values and writes the help; what the values mean is the same for flags and file and
therefore not its business: every flag gives a list of texts.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from p1_exporter import __version__
from p1_exporter.config_values import did_you_mean, quoted
from p1_exporter.errors import UserError
from p1_exporter.options import OPTIONS, Option, Setting

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# Titles in the help, by the first part of the flags' names.
_GROUPS: Final = {
    "serial": "serial port",
    "meter": "meter",
    "share": "sharing the meter's bytes",
    "web": "web server",
    "collector": "what is collected",
    "log": "log",
    "config": "configuration",
}


class FlagParser(argparse.ArgumentParser):
    """An argument parser that raises UserError instead of ending the program, and knows no abbreviations.

    Subparsers made from it are of the same class.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  whatever argparse takes
        super().__init__(allow_abbrev=False, exit_on_error=False, **kwargs)

    def parse_known_args(  # type: ignore[override]  # other kinds of namespace are not used
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse `args` as the base class does, but raise UserError where a flag cannot be understood."""
        try:
            return super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            raise UserError(f"{_explained(error)} {self._where_flags_are_listed()}") from error

    def parse_args(  # type: ignore[override]  # as above
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse `args`; raises UserError for what is unknown, with the flag that was perhaps meant."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            # The value may be a secret in the wrong place: only the name is shown.
            name = next((word for word in unknown if word.startswith("-")), unknown[0]).partition("=")[0]
            known = [*self._option_string_actions, *(option.flag for option in OPTIONS)]
            what = "flag" if name.startswith("-") else "argument"
            raise UserError(
                f"{quoted(name)} is no {what} of this program.{did_you_mean(name, known)} "
                f"{self._where_flags_are_listed()}"
            )
        return parsed

    def error(self, message: str) -> NoReturn:
        """Raise UserError where the base class would print the usage and end the program."""
        raise UserError(f"{message}. {self._where_flags_are_listed()}")

    def _where_flags_are_listed(self) -> str:
        return f"{self.prog} --help lists the flags."


class _AppendSwitch(argparse.Action):
    """Append "true" for `--flag` and "false" for `--no-flag`, as if somebody had written that in a file."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        _values: object,
        option_string: str | None = None,
    ) -> None:
        text = "true" if option_string == self.option_strings[0] else "false"
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or ()), text])


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Add every flag of the table, and `--version`, to `parser`, in groups."""
    parser.usage = "%(prog)s [FLAG ...]"
    groups = {prefix: parser.add_argument_group(title) for prefix, title in _GROUPS.items()}
    for option in OPTIONS:
        _add_flag(groups[option.name.partition(".")[0]], option)
    add_version_flag(groups["config"])


def add_flags(parser: argparse.ArgumentParser, names: Collection[str]) -> None:
    """Add the flags of the options `names` to `parser`: for commands that read a meter's bytes without a port."""
    for option in OPTIONS:
        if option.name in names:
            _add_flag(parser, option)


def add_version_flag(parser: argparse._ActionsContainer) -> None:
    """Add `--version` to `parser`."""
    parser.add_argument(
        "--version",
        action="version",
        version=f"p1-exporter {__version__} (Python {platform.python_version()})",
        help="Print the version and exit.",
    )


def _add_flag(group: argparse._ActionsContainer, option: Option) -> None:
    text = f"{option.help} (default: {option.default or 'none'})"
    if option.is_switch:
        group.add_argument(
            option.flag, f"--no-{option.name}", dest=option.name, action=_AppendSwitch, nargs=0, help=text
        )
    else:
        group.add_argument(option.flag, dest=option.name, action="append", metavar=option.metavar, help=text)


def flag_settings(namespace: argparse.Namespace) -> dict[str, Setting]:
    """Return what was given by flags, by option name; relative paths start from the working directory."""
    given = vars(namespace)
    return {
        option.name: Setting(option.flag, tuple(given[option.name]), Path())
        for option in OPTIONS
        if given.get(option.name) is not None
    }


def _explained(error: argparse.ArgumentError) -> str:
    """Say what is wrong with a flag in the words of this program.

    A switch can only have been given a value, and any other flag of the table can only lack one.
    """
    flags = (error.argument_name or "").split("/")
    option = next((option for option in OPTIONS if option.flag == flags[0]), None)
    if option is None:
        return f"{error}."
    if option.is_switch:
        return f"{option.flag} takes no value: write {option.flag} or --no-{option.name}."
    return f"{option.flag} needs a value: write {option.flag}={option.metavar}."
