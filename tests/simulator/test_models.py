from __future__ import annotations

import re
import sys
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from p1_exporter.errors import UserError
from p1_exporter.simulator.encryption import AUTHENTICATION_KEY, KEY
from p1_exporter.simulator.models import MODELS, Model, telegram, wire_bytes
from p1_exporter.telegram.crc import ARC

if TYPE_CHECKING:
    from p1_exporter.simulator.household import Household

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@cache
def household_of(model: Model, seed: int = 1) -> Household:
    """A household gives the same answers whoever asked before: the tests may share it."""
    return model.household(seed)


def epoch(text: str, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM, fold=fold).timestamp())


NOON = epoch("2026-06-17T12:00")
TURNS = {
    "midnight": epoch("2026-06-17T00:00"),
    "month": epoch("2026-06-01T00:00"),
    "year": epoch("2026-01-01T00:00"),
    "summer time begins": epoch("2026-03-29T03:00"),
    "summer time ends": epoch("2026-10-25T02:00", fold=1),
}

ALL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
LINE = re.compile(r"(\d+-\d+:\d+\.\d+\.\d+)((?:\([^()/!\r\n]*\))+)")


def parsed(data: bytes) -> dict[str, list[str]]:
    """The groups of each line by its code; a line without a code belongs to the one before."""
    objects: dict[str, list[str]] = {}
    code = ""
    for line in data.decode("ascii").split("\r\n")[2:-2]:
        found = LINE.fullmatch(line)
        if found:
            code = found[1]
            assert code not in objects
            objects[code] = []
        groups = found[2] if found else line
        objects[code] += re.findall(r"\(([^()]*)\)", groups)
    return objects


def number(objects: dict[str, list[str]], code: str) -> int:
    """The last value of a line in thousandths of its unit (which it has to have)."""
    found = re.fullmatch(r"(\d+)(?:\.(\d{1,3}))?\*(\w+)", objects[code][-1])
    assert found, objects[code]
    return int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))


@ALL
@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
def test_every_telegram_is_well_formed_and_its_checksum_verifies(model: Model, turn: int) -> None:
    household = household_of(model)
    for when in range(turn - 600, turn + 600, 10):
        data = telegram(model, household, when)
        assert data.startswith(f"/{model.header}\r\n\r\n".encode())
        assert data.count(b"/") == data.count(b"!") == 1
        content, end = data.split(b"!")
        assert end == (b"%04X\r\n" % ARC.of(content + b"!") if model.checksum else b"\r\n")
        assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
        lines = content.decode("ascii").split("\r\n")[2:-1]
        malformed = [line for line in lines if not LINE.fullmatch(line)]
        assert len(malformed) == (1 if model.name == "dsmr2" else 0)
        parsed(data)


@ALL
def test_a_telegram_fits_between_two(model: Model) -> None:
    household = household_of(model)
    assert len(wire_bytes(model, household, NOON)) / model.characters_a_second < 0.9 * model.interval


@ALL
def test_a_telegram_stands_for_its_whole_interval(model: Model) -> None:
    household = household_of(model)
    assert len({telegram(model, household, NOON + second) for second in range(model.interval)}) == 1
    assert telegram(model, household, NOON) != telegram(model, household, NOON + 900)


def test_models_send_as_their_standards_say() -> None:
    assert {
        name: (model.baudrate, model.character_format, model.interval, model.time_zone)
        for name, model in MODELS.items()
    } == {
        "dsmr2": (9600, "7E1", 10, "Europe/Amsterdam"),
        "dsmr4": (115200, "8N1", 10, "Europe/Amsterdam"),
        "dsmr5": (115200, "8N1", 1, "Europe/Amsterdam"),
        "belgium": (115200, "8N1", 1, "Europe/Brussels"),
        "sweden": (115200, "8N1", 10, "Europe/Stockholm"),
        "luxembourg": (115200, "8N1", 10, "Europe/Luxembourg"),
    }


@pytest.mark.parametrize(
    ("name", "hours"),
    [("dsmr5", 1), ("belgium", 1), ("dsmr4", 24), ("sweden", 24), ("luxembourg", 24)],
)
def test_energy_in_the_telegrams_is_the_sum_of_their_power_to_the_watt_hour(name: str, hours: int) -> None:
    model = MODELS[name]
    household = household_of(model)
    begin = NOON if hours == 1 else epoch("2026-06-17T00:00")
    end = begin + hours * 3600
    tariffs = "0" if name in {"sweden", "luxembourg"} else "12"

    def registers(when: int, direction: int) -> int:
        objects = parsed(telegram(model, household, when))
        return sum(number(objects, f"1-0:{direction}.8.{tariff}") for tariff in tariffs)

    joules = {1: 0, 2: 0}
    for when in range(begin + model.interval, end + 1, model.interval):
        text = telegram(model, household, when)
        for direction in joules:
            found = re.search(rb"1-0:%d\.7\.0\((\d+)\.(\d+)\*kW\)" % direction, text)
            assert found
            joules[direction] += int(found[1] + found[2]) * model.interval
    for direction, energy in joules.items():
        risen = registers(end, direction) - registers(begin, direction)
        assert risen == pytest.approx(energy / 3600, abs=len(tariffs))
    assert sum(joules.values()) > 0


@ALL
@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
def test_printed_registers_never_fall(model: Model, turn: int) -> None:
    household = household_of(model, 7)
    last: dict[str, int] = {}
    for when in range(turn - 4500, turn + 4500, 50):
        objects = parsed(telegram(model, household, when))
        registers = {
            code: number(objects, code)
            for code in objects
            if re.search(r":[1-4]\.8\.|:24\.2\.[13]", code) and "632525252525S" not in objects[code]
        }
        assert len(registers) >= 4
        assert all(last.get(code, 0) <= value for code, value in registers.items())
        last = registers


@ALL
def test_phases_add_up_to_the_house(model: Model) -> None:
    household = household_of(model)
    for when in range(NOON - 12 * 3600, NOON + 12 * 3600, 600):
        objects = parsed(telegram(model, household, when))
        if "1-0:21.7.0" in objects:
            drawn, fed = (
                sum(number(objects, f"1-0:{phase}{way}.7.0") for phase in (2, 4, 6)) for way in (1, 2)
            )
            assert number(objects, "1-0:1.7.0") - number(objects, "1-0:2.7.0") == drawn - fed
            assert 0 in (number(objects, "1-0:1.7.0"), number(objects, "1-0:2.7.0"))
        else:
            assert model.name == "dsmr2"


@pytest.mark.parametrize(("name", "tolerance"), [("dsmr5", 0.5), ("belgium", 0.005), ("sweden", 0.05)])
def test_current_is_power_over_voltage_to_the_last_digit_printed(name: str, tolerance: float) -> None:
    model = MODELS[name]
    household = household_of(model)
    for when in range(NOON, NOON + 86400, 600):
        objects = parsed(telegram(model, household, when))
        supply = household.supply(when, model.interval)
        for phase in range(3):
            volts = number(objects, f"1-0:{32 + 20 * phase}.7.0") / 1000
            amperes = number(objects, f"1-0:{31 + 20 * phase}.7.0") / 1000
            drawn, fed = (number(objects, f"1-0:{code + 20 * phase}.7.0") for code in (21, 22))
            apparent = ((drawn + fed) ** 2 + supply.vars[phase] ** 2) ** 0.5
            assert amperes == pytest.approx(apparent / volts, abs=tolerance * 1.001)


def test_gas_of_dsmr2_is_printed_in_two_lines_with_the_hour_of_the_reading() -> None:
    model = MODELS["dsmr2"]
    household = household_of(model)
    lines = telegram(model, household, NOON + 1799).decode().split("\r\n")
    at = lines.index("0-1:24.3.0(260617120000)(00)(60)(1)(0-1:24.2.1)(m3)")
    gas = household.totals(NOON).gas
    assert lines[at + 1] == f"({gas // 1000:05d}.{gas % 1000:03d})"


@pytest.mark.parametrize(
    ("name", "code", "stamp"),
    [
        ("dsmr4", "0-1:24.2.1", "260617120000S"),
        ("dsmr5", "0-1:24.2.1", "260617125500S"),
        ("belgium", "0-1:24.2.3", "260617125500S"),
        ("luxembourg", "0-1:24.2.1", "260617125500S"),
    ],
)
def test_gas_readings_come_by_the_hour_or_every_five_minutes(name: str, code: str, stamp: str) -> None:
    model = MODELS[name]
    household = household_of(model)
    objects = parsed(telegram(model, household, NOON + 3599))
    assert objects[code][0] == stamp
    assert objects["0-1:24.1.0"] == ["003"]
    read = epoch(f"2026-06-17T{stamp[6:8]}:{stamp[8:10]}")
    assert number(objects, code) == household.totals(read).gas


@pytest.mark.parametrize("name", ["dsmr4", "dsmr5", "belgium", "sweden", "luxembourg"])
def test_time_stamps_tell_the_hour_that_comes_twice_apart(name: str) -> None:
    model = MODELS[name]
    household = household_of(model)
    stamps = [
        parsed(telegram(model, household, epoch("2026-10-25T02:30", fold=fold)))["0-0:1.0.0"][0]
        for fold in (0, 1)
    ]
    assert stamps == ["261025023000S", "261025023000W"]


def test_belgian_telegrams_have_demand_peaks_and_water() -> None:
    model = MODELS["belgium"]
    household = household_of(model)
    objects = parsed(telegram(model, household, NOON + 600))
    assert number(objects, "1-0:1.4.0") == household.demand(NOON + 600)
    peak = household.month_peak(NOON)
    assert peak is not None
    assert number(objects, "1-0:1.6.0") == peak.watts
    count, *kinds = objects["0-0:98.1.0"][:3]
    assert (count, kinds) == ("13", ["1-0:1.6.0", "1-0:1.6.0"])
    months = objects["0-0:98.1.0"][3:]
    assert len(months) == 3 * 13
    assert months[0] == "250601000000S"
    assert months[-3] == "260601000000S"
    assert months[2] == f"{household.peak_history(NOON)[0][1].watts / 1000:06.3f}*kW"
    assert objects["0-2:24.1.0"] == ["007"]
    assert number(objects, "0-2:24.2.1") == household.totals(NOON + 600).water


def test_a_belgian_month_without_a_peak_says_no_value() -> None:
    model = MODELS["belgium"]
    objects = parsed(telegram(model, household_of(model), TURNS["month"] + 10))
    assert objects["1-0:1.6.0"] == ["632525252525W", "00.000*kW"]


def test_swedish_telegrams_have_totals_and_spell_reactive_units_with_a_capital_a() -> None:
    model = MODELS["sweden"]
    household = household_of(model)
    objects = parsed(telegram(model, household, NOON))
    totals = household.totals(NOON)
    assert number(objects, "1-0:1.8.0") == (totals.import_1 + totals.import_2) // 3600
    assert number(objects, "1-0:3.8.0") == totals.reactive_import // 3600
    assert re.fullmatch(r"\d{8}\.\d{3}\*kVArh", objects["1-0:3.8.0"][0])
    assert objects["1-0:23.7.0"][0].endswith("*kVAr")
    assert not any(code.endswith((".8.1", ".8.2")) for code in objects)
    assert totals.reactive_import > 0
    assert totals.reactive_export > 0


def test_a_register_that_is_full_rolls_over() -> None:
    model = MODELS["dsmr2"]
    household = household_of(model)
    late = epoch("2099-06-01T12:00")
    assert household.totals(late).import_1 // 3600 >= 10**8
    assert number(parsed(telegram(model, household, late)), "1-0:1.8.1") < 10**8


@ALL
def test_another_seed_has_other_equipment_numbers(model: Model) -> None:
    def numbers(seed: int) -> set[str]:
        objects = parsed(telegram(model, household_of(model, seed), NOON))
        return {objects[code][0] for code in objects if re.search(r":96\.1\.[01]|:42\.0\.0", code)} - {""}

    first, second = numbers(1), numbers(2)
    assert first.isdisjoint(second)
    assert all(bytes.fromhex(text).isalnum() for text in first)
    assert bool(first) == (model.name != "sweden")


def test_every_byte_of_a_7e1_meter_has_even_parity_in_its_top_bit() -> None:
    model = MODELS["dsmr2"]
    household = household_of(model)
    wire = wire_bytes(model, household, NOON)
    assert all(byte.bit_count() % 2 == 0 for byte in wire)
    assert any(byte & 0x80 for byte in wire)
    assert bytes(byte & 0x7F for byte in wire) == telegram(model, household, NOON)


@pytest.mark.parametrize("name", ["dsmr4", "dsmr5", "belgium", "sweden"])
def test_8n1_meters_send_the_telegram_as_it_is(name: str) -> None:
    model = MODELS[name]
    household = household_of(model)
    assert wire_bytes(model, household, NOON) == telegram(model, household, NOON)


def decrypted(frame: bytes) -> tuple[int, bytes]:
    """Frame counter and plaintext, by the table in Luxmetering's specification."""
    assert frame[:2] == b"\xdb\x08"
    title, form, length = frame[2:10], frame[10], int.from_bytes(frame[11:13], "big")
    assert form == 0x82
    content = frame[13:]
    assert length == len(content)
    assert content[0] == 0x30
    counter, ciphertext, tag = content[1:5], content[5:-12], content[-12:]
    cipher = Cipher(algorithms.AES128(KEY), modes.GCM(title + counter, tag, min_tag_length=12)).decryptor()
    cipher.authenticate_additional_data(b"\x30" + AUTHENTICATION_KEY)
    return int.from_bytes(counter, "big"), cipher.update(ciphertext) + cipher.finalize()


def test_luxembourgish_frames_decrypt_to_the_telegram_and_count_by_one() -> None:
    model = MODELS["luxembourg"]
    household = household_of(model, 2**32 - 1)
    frames = [decrypted(wire_bytes(model, household, when)) for when in range(NOON, NOON + 50, 10)]
    assert [plain for _, plain in frames] == [
        telegram(model, household, when) for when in range(NOON, NOON + 50, 10)
    ]
    assert [counter - frames[0][0] for counter, _ in frames] == [0, 1, 2, 3, 4]


def test_a_frame_that_was_tampered_with_does_not_authenticate() -> None:
    model = MODELS["luxembourg"]
    frame = bytearray(wire_bytes(model, household_of(model), NOON))
    frame[100] ^= 1
    with pytest.raises(InvalidTag):
        decrypted(bytes(frame))


def test_without_cryptography_an_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    model = MODELS["luxembourg"]
    household = household_of(model)
    assert telegram(model, household, NOON).startswith(b"/Sim5")
    with pytest.raises(UserError, match=r"python3-cryptography, or p1-exporter\[encrypted\]"):
        wire_bytes(model, household, NOON)
