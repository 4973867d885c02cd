from __future__ import annotations

import sys
import time

from p1_exporter.doctor.commands import OUTPUT_LIMIT, run_command


def test_a_command_tells_what_it_prints_whatever_its_exit_code() -> None:
    assert run_command([sys.executable, "-c", "print('inactive'); raise SystemExit(3)"]) == "inactive\n"


def test_a_command_speaks_english() -> None:
    assert run_command(["sh", "-c", "echo $LC_ALL"]) == "C\n"


def test_a_command_that_is_missing_has_no_answer() -> None:
    assert run_command(["no-such-command-anywhere"]) is None


def test_a_command_that_hangs_is_ended() -> None:
    begun = time.monotonic()
    assert run_command(["sleep", "60"], seconds=0.1) is None
    assert time.monotonic() - begun < 10


def test_a_command_whose_child_keeps_its_output_open_is_not_waited_for() -> None:
    begun = time.monotonic()
    assert run_command(["sh", "-c", "sleep 5 & echo said"], seconds=0.2) is None
    assert time.monotonic() - begun < 4


def test_a_command_that_never_stops_talking_is_cut() -> None:
    answer = run_command(["yes"])
    assert answer is not None
    assert len(answer) == OUTPUT_LIMIT


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert run_command(["printf", r"a\377b"]) == "a\N{REPLACEMENT CHARACTER}b"
