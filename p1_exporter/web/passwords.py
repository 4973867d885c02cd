"""Basic authentication (RFC 7617) against bcrypt hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from typing import TYPE_CHECKING, Final

from p1_exporter.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Version, cost, 22 characters of salt and 31 of hash.
_HASH: Final = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)
_COST: Final = slice(4, 6)
# bcrypt looks at no more; its newer releases refuse what older ones cut off.
_PASSWORD_BYTES: Final = 72


class Passwords:
    """Who may read, by name and bcrypt hash.

    bcrypt is slow on purpose (0.1 s on a fast computer), and a scraper sends its password with every scrape.
    So what was verified is remembered: for each user one keyed digest, which cannot be made for another name,
    hash or password, nor be turned back. Wrong passwords are not remembered.
    """

    def __init__(self, hashes: Mapping[str, str]) -> None:
        """Take hashes by user name.

        Raises:
            UserError: a hash is none of bcrypt's, or the module bcrypt is missing.
        """
        for user, hashed in hashes.items():
            if not _HASH.fullmatch(hashed):
                raise UserError(
                    f"the password of {user!r} is no bcrypt hash. Make one with 'htpasswd -nBC 10 \"\"' "
                    "and put it in quotes."
                )
            if ":" in user:
                raise UserError(
                    f"the user name {user!r} has a colon, which no browser can send. Leave it out."
                )
        try:
            import bcrypt  # noqa: PLC0415 - few have passwords: others need not install it nor keep it in memory
        except ImportError as error:
            raise UserError(
                "passwords need the module bcrypt. Install it: sudo apt install python3-bcrypt"
            ) from error
        self._matches = bcrypt.checkpw
        self._hashes = dict(hashes)
        # A stranger is checked as well, against the costliest, so that the time does not tell who exists.
        self._decoy = max(hashes.values(), key=lambda hashed: hashed[_COST])
        self._key = secrets.token_bytes(hashlib.sha256().digest_size)
        self._verified: dict[str, bytes] = {}
        # Guessing may take one processor, not all of them.
        self._one_at_a_time = threading.Lock()

    def admit(self, authorization: str) -> bool:
        """Tell whether the header Authorization ("" without one) has a user with the right password."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
            return bool(colon) and self._verify(user.decode(), password)
        except ValueError:  # no base64, no UTF-8
            return False

    def _verify(self, user: str, password: bytes) -> bool:
        hashed = self._hashes.get(user)
        digest = self._digest(user, hashed or "", password)
        if self._remembers(user, digest):
            return True
        with self._one_at_a_time:
            if self._remembers(user, digest):  # verified for another connection meanwhile
                return True
            right = self._matches(password[:_PASSWORD_BYTES], (hashed or self._decoy).encode())
            if not right or hashed is None:
                return False
            self._verified[user] = digest
            return True

    def _remembers(self, user: str, digest: bytes) -> bool:
        return hmac.compare_digest(self._verified.get(user, b""), digest)

    def _digest(self, user: str, hashed: str, password: bytes) -> bytes:
        """Digest the three, each with its length, so that no part can pass for another's end."""
        parts = (user.encode(), hashed.encode(), password)
        return hmac.digest(
            self._key, b"".join(len(part).to_bytes(4, "big") + part for part in parts), "sha256"
        )
