"""The root of all errors that this program raises itself."""

from __future__ import annotations


class P1Error(Exception):
    """Root of the program's own errors; its text is meant for people and says what, where and what to do."""


class UserError(P1Error):
    """A flag, file, key or address that cannot work as given. Ends the command with exit code 2."""
