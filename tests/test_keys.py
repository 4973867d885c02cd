"""Keys of encrypted meters: where they may come from, and what is said about bad ones."""

from __future__ import annotations

import os
import pwd
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p1_exporter.config import MeterConfig, load
from p1_exporter.errors import UserError
from p1_exporter.keys import read_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

ENCRYPTION = "5FC93B1E8D7A60249CE5A1F3B8472D06"
AUTHENTICATION = "A3D81F6B0E97C4522B6DE8F1094C7A35"
KEYS = (bytes.fromhex(ENCRYPTION), bytes.fromhex(AUTHENTICATION))
NOBODY = pwd.getpwnam("nobody")
WANTED = "A key has 32 hexadecimal digits; the grid operator hands it out."

METER = load([], {}).meters[0]


def meter_with_file(folder: Path, content: str | bytes, mode: int = 0o600) -> MeterConfig:
    path = folder / "p1.key"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return replace(METER, key_file=path)


def message(meter: MeterConfig, environ: dict[str, str] | None = None) -> str:
    """Return what is said of the keys of `meter`, after checking that nothing of a key is in it."""
    with pytest.raises(UserError) as caught:
        read_keys(meter, environ or {})
    text = str(caught.value)
    for key in (ENCRYPTION, AUTHENTICATION):
        for start in range(len(key) - 3):
            assert key[start : start + 4].lower() not in text.replace(str(meter.key_file), "").lower()
    return text


@contextmanager
def as_nobody() -> Iterator[None]:
    """Do something without the rights of root, if this is root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY.pw_uid)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_meter_without_keys_has_none() -> None:
    assert read_keys(METER, {"P1_EXPORTER_KEY_OTHER": ENCRYPTION}) is None


@pytest.mark.parametrize(
    "content",
    [
        f"{ENCRYPTION}\n{AUTHENTICATION}\n",
        f"{ENCRYPTION}\r\n{AUTHENTICATION}",
        f"# keys of the meter\n\n  {ENCRYPTION.lower()}  # from the letter\n\n{AUTHENTICATION}\n",
        f"encryption-key: {ENCRYPTION}\nauthentication-key: {AUTHENTICATION}\n",
        f"authentication-key:{AUTHENTICATION}\nencryption-key : {ENCRYPTION}\n",
        f"authentication-key: {AUTHENTICATION}\n{ENCRYPTION}\n",
        f"\ufeff{ENCRYPTION}\n{AUTHENTICATION}\n",
        f"{KEYS[0].hex(':')}\n{KEYS[1].hex('-')}\n",
        f"encryption-key: {KEYS[0].hex(' ', 4)}\n{KEYS[1].hex(' ')}\n",
        f"{ENCRYPTION}\n{AUTHENTICATION}\n# caf\xe9\n".encode("latin-1"),
    ],
    ids=[
        "two lines",
        "Windows line ends",
        "comments, blank lines, lower case",
        "names",
        "names in another order",
        "one name",
        "byte order mark",
        "colons and dashes",
        "blanks",
        "a comment in another encoding",
    ],
)
def test_keys_can_be_written_into_a_file_in_many_ways(content: str | bytes, tmp_path: Path) -> None:
    assert read_keys(meter_with_file(tmp_path, content), {}) == KEYS


def test_the_authentication_key_may_be_left_out(tmp_path: Path) -> None:
    assert read_keys(meter_with_file(tmp_path, ENCRYPTION), {}) == (KEYS[0], None)
    assert read_keys(METER, {"P1_EXPORTER_KEY": ENCRYPTION}) == (KEYS[0], None)


@given(
    st.binary(min_size=16, max_size=16),
    st.lists(st.sampled_from(["", " ", ":", "-", "\t"]), min_size=32, max_size=32),
)
def test_any_key_is_read_as_it_was_written(key: bytes, separators: list[str]) -> None:
    text = "".join(map("".join, zip(key.hex(), separators, strict=True)))
    assert read_keys(METER, {"P1_EXPORTER_KEY": text}) == (key, None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", f"PATH: there is no key in this file. Write the encryption key into it. {WANTED}"),
        ("# later\n\n", f"PATH: there is no key in this file. Write the encryption key into it. {WANTED}"),
        ("encryption-key:\n", f"PATH, line 1: there is no key here. {WANTED}"),
        (ENCRYPTION[:-1], f"PATH, line 1: this key has 31 hexadecimal digits. {WANTED}"),
        (ENCRYPTION + AUTHENTICATION, f"PATH, line 1: this key has 64 hexadecimal digits. {WANTED}"),
        (
            f"{ENCRYPTION}\n{AUTHENTICATION[:-2]}",
            f"PATH, line 2: this key has 30 hexadecimal digits. {WANTED}",
        ),
        (
            f"{ENCRYPTION[:-1]}O",
            f"PATH, line 1: a character of this key is no hexadecimal digit (0-9, a-f). {WANTED}",
        ),
        (
            f"key: {ENCRYPTION}",
            f"PATH, line 1: a character of this key is no hexadecimal digit (0-9, a-f). {WANTED}",
        ),
        (
            f"\xff\xfe{ENCRYPTION}".encode("utf-16"),
            f"PATH, line 1: a character of this key is no hexadecimal digit (0-9, a-f). {WANTED}",
        ),
        (
            f"{ENCRYPTION}\n{AUTHENTICATION}\n{ENCRYPTION}",
            "PATH, line 3: a third key. A meter has an encryption key and perhaps an authentication key.",
        ),
        (
            f"encryption-key: {ENCRYPTION}\nencryption-key: {AUTHENTICATION}",
            "PATH, line 2: the encryption-key is given twice. Keep one of the two.",
        ),
        (
            f"authentication-key: {AUTHENTICATION}",
            ("PATH, line 1: an authentication key alone decrypts nothing. Give the encryption key as well."),
        ),
        (
            f"{ENCRYPTION}\n#{'x' * 4096}",
            "PATH: larger than 4096 bytes, so this is no key file. Check the path.",
        ),
    ],
)
def test_each_kind_of_bad_key_file_has_its_own_message(
    content: str | bytes, expected: str, tmp_path: Path
) -> None:
    meter = meter_with_file(tmp_path, content)
    assert message(meter).replace(str(meter.key_file), "PATH") == expected


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644, 0o610])
def test_a_file_that_others_can_use_is_refused_with_the_command_that_helps(mode: int, tmp_path: Path) -> None:
    meter = meter_with_file(tmp_path, ENCRYPTION, mode)
    owner = pwd.getpwuid(os.geteuid()).pw_name
    assert message(meter) == (
        f"{meter.key_file}: others than its owner, {owner}, can use this key file (mode {mode:04o}): "
        f"chmod 600 {meter.key_file}"
    )


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_that_only_its_owner_can_use_is_read(mode: int, tmp_path: Path) -> None:
    assert read_keys(meter_with_file(tmp_path, ENCRYPTION, mode), {}) == (KEYS[0], None)


def test_a_link_to_a_key_file_is_as_good_as_the_file(tmp_path: Path) -> None:
    meter = meter_with_file(tmp_path, ENCRYPTION)
    link = tmp_path / "link"
    link.symlink_to("p1.key")
    assert read_keys(replace(meter, key_file=link), {}) == (KEYS[0], None)
    (tmp_path / "p1.key").chmod(0o644)
    assert "chmod 600" in message(replace(meter, key_file=link))


def test_a_credential_of_systemd_may_show_its_access_list_as_access_of_the_group(tmp_path: Path) -> None:
    meter = meter_with_file(tmp_path, ENCRYPTION, 0o440)
    assert read_keys(meter, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == (KEYS[0], None)
    assert "chmod 600" in message(meter, {"CREDENTIALS_DIRECTORY": f"{tmp_path}/other"})
    assert "chmod 600" in message(meter, {"CREDENTIALS_DIRECTORY": ""})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.key"
    assert message(replace(METER, key_file=path)) == (
        f"{path}: the key file cannot be read: No such file or directory. Check --meter.key-file, key-file "
        "in the configuration file, and what is at that path."
    )


def test_a_folder_in_the_place_of_a_key_file_is_refused(tmp_path: Path) -> None:
    text = message(replace(METER, key_file=tmp_path))
    assert text.startswith(f"{tmp_path}: the key file cannot be read: Is a directory. Check --meter.key-file")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    assert message(replace(METER, key_file=path)) == (
        f"{path}: this is no regular file. Give the path of a file that holds the key."
    )


def test_a_file_that_may_not_be_read_is_answered_with_who_should_own_it() -> None:
    # pytest's own folders let nobody but the owner pass.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        meter = meter_with_file(Path(name), ENCRYPTION, 0o000)
        with as_nobody():
            me = pwd.getpwuid(os.geteuid()).pw_name
            text = message(meter)
    assert text == (
        f"{meter.key_file}: the user {me}, as whom this program runs, may not read the key file. The file "
        f"should belong to that user, and the folders above it should let that user pass: chown {me} "
        f"{meter.key_file}"
    )


def test_commands_in_messages_can_be_pasted_whatever_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "my keys; rm"
    folder.mkdir()
    meter = meter_with_file(folder, ENCRYPTION, 0o644)
    assert message(meter).endswith(f"chmod 600 '{meter.key_file}'")


@pytest.mark.parametrize("suffix", ["", "_HEAT_PUMP"])
def test_keys_of_the_environment_are_found_with_and_without_the_name_of_the_meter(suffix: str) -> None:
    environ = {
        f"P1_EXPORTER_KEY{suffix}": ENCRYPTION,
        f"P1_EXPORTER_AUTHENTICATION_KEY{suffix}": AUTHENTICATION,
    }
    assert read_keys(replace(METER, name="Heat-pump"), environ) == KEYS


def test_each_of_several_meters_has_its_own_keys() -> None:
    environ = {"P1_EXPORTER_KEY_A": ENCRYPTION, "P1_EXPORTER_KEY_B": AUTHENTICATION}
    assert read_keys(replace(METER, name="a"), environ) == (KEYS[0], None)
    assert read_keys(replace(METER, name="b"), environ) == (KEYS[1], None)
    assert read_keys(replace(METER, name="c"), environ) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"P1_EXPORTER_KEY": ""}, f"P1_EXPORTER_KEY: there is no key here. {WANTED}"),
        (
            {"P1_EXPORTER_KEY_MAIN": ENCRYPTION[2:]},
            f"P1_EXPORTER_KEY_MAIN: this key has 30 hexadecimal digits. {WANTED}",
        ),
        (
            {"P1_EXPORTER_KEY": f"0x{ENCRYPTION}"},
            f"P1_EXPORTER_KEY: a character of this key is no hexadecimal digit (0-9, a-f). {WANTED}",
        ),
        (
            {"P1_EXPORTER_AUTHENTICATION_KEY": AUTHENTICATION},
            (
                "P1_EXPORTER_AUTHENTICATION_KEY: an authentication key alone decrypts nothing. Give the "
                "encryption key as well."
            ),
        ),
    ],
)
def test_each_kind_of_bad_key_in_the_environment_has_its_own_message(
    environ: dict[str, str], expected: str
) -> None:
    assert message(METER, environ) == expected


def test_keys_from_two_places_are_refused(tmp_path: Path) -> None:
    meter = meter_with_file(tmp_path, ENCRYPTION)
    assert message(meter, {"P1_EXPORTER_KEY": AUTHENTICATION}) == (
        f"P1_EXPORTER_KEY: the meter main has the key file {meter.key_file} too. Remove one of the two."
    )
