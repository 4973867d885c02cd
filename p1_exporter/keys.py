"""The keys of encrypted meters: from a file or the environment, never from a flag, and never in a message."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p1_exporter.errors import UserError
from p1_exporter.telegram.cipher import Cipher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p1_exporter.config import MeterConfig

KEY_BYTES: Final = 16  # AES-128, DLMS security suite 0 and 1
MAX_FILE_BYTES: Final = 4096

_ENCRYPTION: Final = "encryption-key"
_AUTHENTICATION: Final = "authentication-key"
_VARIABLES: Final = {_ENCRYPTION: "P1_EXPORTER_KEY", _AUTHENTICATION: "P1_EXPORTER_AUTHENTICATION_KEY"}


def read_keys(meter: MeterConfig, environ: Mapping[str, str]) -> tuple[bytes, bytes | None] | None:
    """Return the encryption key of `meter` and its authentication key, if given, 16 bytes each.

    They come from its key file or from the environment (`P1_EXPORTER_KEY_<NAME>` or `P1_EXPORTER_KEY`, and
    the same with AUTHENTICATION_KEY); None if there is neither. Raises UserError for what cannot be a key,
    and shows nothing of it.
    """
    variables = _given_variables(meter.name, environ)
    if meter.key_file is None:
        return _keys(variables) if variables else None
    if variables:
        raise UserError(
            f"{next(iter(variables.values()))[0]}: the meter {meter.name} has the key file {meter.key_file} "
            "too. Remove one of the two."
        )
    return _keys(_lines_of_file(meter.key_file, environ))


def check_variables(meter_names: Iterable[str], environ: Mapping[str, str]) -> None:
    """Raise UserError if a variable in `environ` holds a key that is no key of these meters."""
    names = list(meter_names)
    known = {_variable(prefix, name) for prefix in _VARIABLES.values() for name in names}
    if len(names) == 1:
        known.update(_VARIABLES.values())
    prefixes = tuple(_VARIABLES.values())
    for variable in sorted(environ):
        if variable.startswith(prefixes) and variable not in known:
            raise UserError(
                f"{variable}: this environment variable is the key of no meter here. Remove it, or use one "
                f"of: {', '.join(sorted(known))}."
            )


def _variable(prefix: str, meter_name: str) -> str:
    return f"{prefix}_{meter_name.upper().replace('-', '_')}"


# What was given as a key, by kind of key: where it stands, and its text.
_Given = dict[str, tuple[str, str]]


def _given_variables(meter_name: str, environ: Mapping[str, str]) -> _Given:
    given = {}
    for kind, prefix in _VARIABLES.items():
        for variable in (_variable(prefix, meter_name), prefix):
            if variable in environ:
                given[kind] = (variable, environ[variable])
                break
    return given


def _keys(given: _Given) -> tuple[bytes, bytes | None]:
    if _ENCRYPTION not in given:
        origin, _ = given[_AUTHENTICATION]
        raise UserError(
            f"{origin}: an authentication key alone decrypts nothing. Give the encryption key as well."
        )
    authentication = given.get(_AUTHENTICATION)
    return _key(*given[_ENCRYPTION]), _key(*authentication) if authentication else None


def _key(origin: str, text: str) -> bytes:
    """Return the bytes of the hexadecimal key `text`; blanks, colons and dashes in it are fine."""
    digits = re.sub(r"[\s:-]", "", text)
    if not digits:
        raise UserError(f"{origin}: there is no key here. {_WANTED}")
    if not re.fullmatch(r"[0-9A-Fa-f]*", digits):
        raise UserError(f"{origin}: a character of this key is no hexadecimal digit (0-9, a-f). {_WANTED}")
    if len(digits) != 2 * KEY_BYTES:
        raise UserError(f"{origin}: this key has {len(digits)} hexadecimal digits. {_WANTED}")
    return bytes.fromhex(digits)


_WANTED: Final = f"A key has {2 * KEY_BYTES} hexadecimal digits; the grid operator hands it out."


def _lines_of_file(path: Path, environ: Mapping[str, str]) -> _Given:
    """Return the keys in the file at `path`: with their names, or bare, the encryption key first."""
    given: _Given = {}
    for number, line in enumerate(_text_of_file(path, environ).splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        origin = f"{path}, line {number}"
        named = re.fullmatch(rf"({_ENCRYPTION}|{_AUTHENTICATION})\s*:(.*)", content)
        kind, text = named.groups() if named else (_next_bare(given, origin), content)
        if kind in given:
            raise UserError(f"{origin}: the {kind} is given twice. Keep one of the two.")
        given[kind] = (origin, text)
    if not given:
        raise UserError(f"{path}: there is no key in this file. Write the encryption key into it. {_WANTED}")
    return given


def _next_bare(given: _Given, origin: str) -> str:
    """Return which key a line without a name holds."""
    for kind in _VARIABLES:
        if kind not in given:
            return kind
    raise UserError(
        f"{origin}: a third key. A meter has an encryption key and perhaps an authentication key."
    )


def _text_of_file(path: Path, environ: Mapping[str, str]) -> str:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            _check_guarded(path, os.fstat(file.fileno()), environ)
            data = file.read(MAX_FILE_BYTES + 1)
    except PermissionError as error:
        raise UserError(_unreadable(path)) from error
    except OSError as error:
        raise UserError(
            f"{path}: the key file cannot be read: {error.strerror}. Check --meter.key-file, key-file in the "
            "configuration file, and what is at that path."
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise UserError(
            f"{path}: larger than {MAX_FILE_BYTES} bytes, so this is no key file. Check the path."
        )
    # What is no UTF-8 may stand in a comment; in a key it is no hexadecimal digit either way.
    return data.decode("utf-8-sig", "replace")


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for somebody to write into a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check_guarded(path: Path, status: os.stat_result, environ: Mapping[str, str]) -> None:
    """Raise UserError unless this is a file that none but its owner can use."""
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: this is no regular file. Give the path of a file that holds the key.")
    # systemd guards the folder of credentials, and lets the service read them by an ACL, which looks like
    # access of the group in the mode.
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials and path.resolve().is_relative_to(Path(credentials).resolve()):
        return
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"{path}: others than its owner, {_user(status.st_uid)}, can use this key file (mode "
            f"{stat.S_IMODE(status.st_mode):04o}): chmod 600 {_quoted(path)}"
        )


def _unreadable(path: Path) -> str:
    me = _user(os.geteuid())
    return (
        f"{path}: the user {me}, as whom this program runs, may not read the key file. The file should "
        f"belong to that user, and the folders above it should let that user pass: chown {me} "
        f"{_quoted(path)}"
    )


def _user(number: int) -> str:
    try:
        import pwd  # noqa: PLC0415 - for messages only

        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def cipher_of(meter: MeterConfig, environ: Mapping[str, str]) -> Cipher | None:
    """Return what opens the frames of an encrypted `meter`, None where no key is given.

    Raises:
        UserError: A key cannot be used, or the library for it is missing.
    """
    keys = read_keys(meter, environ)
    return Cipher(*keys, check_tag=meter.check_tag) if keys else None


def _quoted(path: Path) -> str:
    """Return `path` as a shell needs it."""
    import shlex  # noqa: PLC0415 - for messages only

    return shlex.quote(str(path))
