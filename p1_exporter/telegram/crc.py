"""The checksums of P1 telegrams.

Every meter but one prints CRC-16/ARC over all bytes from ``/`` up to and including ``!`` (DSMR 5.0.2 P1, 6.2).
The Holley DTSD545 (Hungary) prints CRC-16/X-25 over the same bytes.

Both are linear over GF(2). The state after some bytes is a sum of what the state before and what the bytes
contribute, and a state can be run backwards. `Checksum.normalized` builds on that: it brings the states at
different places of one stream to a common origin, so that "from which of these starts does this checksum
verify?" is one look into a table, however many starts there are.
"""

from __future__ import annotations

import binascii
from abc import ABC, abstractmethod
from typing import Final

# Both generators have a factor of degree 15 whose powers of x repeat after 2^15 - 1, and no longer period.
_PERIOD: Final = 32767

_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _reverse16(word: int) -> int:
    """Mirror the 16 bits of `word`."""
    return _REVERSED[word & 0xFF] << 8 | _REVERSED[word >> 8]


class Checksum(ABC):
    """A 16-bit CRC that shifts least significant bits first.

    Args of the constructor: `polynomial`, mirrored, without its x^16; `initial`, the state before the first byte;
    `final`, what the state is XORed with to give the checksum.
    """

    def __init__(self, name: str, polynomial: int, initial: int, final: int) -> None:
        self.name = name
        self.initial = initial
        self.final = final
        self._polynomial = polynomial
        self._backwards = bytearray()

    @abstractmethod
    def advance(self, state: int, data: bytes) -> int:
        """Return the state after `data`, from the state before it (`initial` at the start of a telegram)."""

    def of(self, data: bytes) -> int:
        """Return the checksum of `data`, 0 to 65535."""
        return self.advance(self.initial, data) ^ self.final

    def normalized(self, state: int, position: int) -> int:
        """Run `state`, reached after `position` bytes, backwards over that many zero bytes.

        Two states of one stream, each XORed with the state that a checksum would have there, normalize to
        the same value exactly if that checksum verifies between the two places.
        """
        return self._multiply(state, self._inverse_power(position % _PERIOD)) if state else 0

    def _multiply(self, a: int, b: int) -> int:
        """Multiply two mirrored polynomials modulo the generator; bit 15 is the coefficient of x^0."""
        product = 0
        while b:
            if b & 0x8000:
                product ^= a
            b = b << 1 & 0xFFFF
            a = a >> 1 ^ (self._polynomial if a & 1 else 0)
        return product

    def _inverse_power(self, position: int) -> int:
        """Return x^(-8 * position), from a table that grows as far as needed, to 64 KiB at most."""
        table = self._backwards
        power = int.from_bytes(table[-2:], "little") if table else 0
        while len(table) // 2 <= position:
            if not table:
                power = 0x8000
            else:
                for _ in range(8):
                    # Multiplying by x^-1 undoes one step of the register: the bit that the step fed back
                    # into the polynomial shows in the top bit.
                    power = (power ^ self._polynomial) << 1 | 1 if power & 0x8000 else power << 1
            table += power.to_bytes(2, "little")
        return int.from_bytes(table[2 * position : 2 * position + 2], "little")


# (2^j, 15 * 2^j, mask of what lies below that), largest first: enough for any telegram, and slower for longer data.
_FOLDS: Final = tuple((1 << j, 15 << j, (1 << (15 << j)) - 1) for j in range(13, -1, -1))


class _Arc(Checksum):
    """CRC-16/ARC, by folding one big integer.

    The generator x^16 + x^15 + x^2 + 1 is (x + 1)(x^15 + x + 1). Modulo the second factor x^15 = x + 1, and
    squaring that j times x^(15 * 2^j) = x^(2^j) + 1: the upper part of a long polynomial folds onto the lower
    with two shifts. Parity gives the remainder modulo the first factor. About nine times as fast as a table loop.
    """

    def __init__(self) -> None:
        super().__init__("CRC-16/ARC", polynomial=0xA001, initial=0, final=0)

    def advance(self, state: int, data: bytes) -> int:
        # The first bit on the wire is the highest power: mirror each byte and read the whole as one number.
        polynomial = int.from_bytes(data.translate(_REVERSED), "big") << 16
        if state:
            polynomial ^= _reverse16(state) << 8 * len(data)
        parity = polynomial.bit_count() & 1
        for power, fold, lower in _FOLDS[-(len(data) >> 1).bit_length() :]:
            while upper := polynomial >> fold:
                polynomial = polynomial & lower ^ upper << power ^ upper
        if polynomial.bit_count() & 1 != parity:
            polynomial ^= 0x8003  # x^15 + x + 1: the same remainder modulo that factor, the other parity
        return _reverse16(polynomial)


class _X25(Checksum):
    """CRC-16/X-25: what `binascii.crc_hqx` computes, with every byte and the result mirrored."""

    def __init__(self) -> None:
        super().__init__("CRC-16/X-25", polynomial=0x8408, initial=0xFFFF, final=0xFFFF)

    def advance(self, state: int, data: bytes) -> int:
        return _reverse16(binascii.crc_hqx(data.translate(_REVERSED), _reverse16(state)))


ARC: Final[Checksum] = _Arc()
X25: Final[Checksum] = _X25()
CHECKSUMS: Final = (ARC, X25)
