"""Whatever reads from the network takes anything, and the fuzzer would notice if it did not."""

from __future__ import annotations

import dataclasses
import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from fuzz import fuzzer
from fuzz.fuzzer import Fuzzer, Outcome
from fuzz.mutation import HOSTILE, Mutator
from fuzz.parsers import PARSERS, Parser, parsers

INPUTS = 2000


def planted(parse: Callable[[bytes], object]) -> Parser:
    """Return a parser that refuses half of its inputs, as documented, and does ``parse``."""

    def refusing(data: bytes) -> None:
        parse(data)
        if zlib.crc32(data) % 2:
            raise ValueError("not this one")

    return Parser(
        name="planted",
        reads="nothing",
        errors=(ValueError,),
        source=lambda mutator: mutator.noise(20),
        parse=refusing,
    )


def rare(data: bytes) -> bool:
    return zlib.crc32(data) % 1000 == 7


@pytest.mark.parametrize("name", PARSERS)
def test_whatever_comes_is_read_as_documented(name: str, tmp_path: Path) -> None:
    [parser] = [parser for parser in parsers(tmp_path) if parser.name == name]
    inputs = max(100, INPUTS // parser.share)
    # What others do on this machine at the same time is not the parser's fault.
    outcome = Fuzzer(dataclasses.replace(parser, seconds=5.0)).run(inputs)
    assert outcome.findings == []
    assert outcome.inputs == inputs == outcome.taken + sum(outcome.refused.values())
    # Neither is all refused nor, where something may be, all taken.
    assert 0 < outcome.taken <= inputs - bool(parser.errors)


def test_an_exception_that_nobody_documented_is_found() -> None:
    def parse(data: bytes) -> None:
        if rare(data):
            raise KeyError(data)

    outcome = Fuzzer(planted(parse)).run(20_000)
    [finding] = outcome.findings
    assert finding.what.startswith("KeyError: ")
    assert finding.where.startswith("test_fuzz.py:")
    assert rare(bytes.fromhex(finding.input))
    assert 10 <= finding.count <= 30


def test_an_input_that_takes_much_memory_is_found() -> None:
    outcome = Fuzzer(
        planted(lambda data: bytearray(10 * 2**20 if rare(data) else 10)), traced=1
    ).run(5000)
    [finding] = outcome.findings
    assert finding.what == "more than 2 MB allocated at once"
    assert rare(bytes.fromhex(finding.input))
    assert outcome.largest_kb > 10_000


def test_an_input_that_takes_long_is_found() -> None:
    def parse(data: bytes) -> None:
        until = time.perf_counter() + 0.002
        while rare(data) and time.perf_counter() < until:
            pass

    parser = dataclasses.replace(planted(parse), seconds=0.001)
    [finding] = Fuzzer(parser).run(10_000).findings
    assert finding.what == "more than 0.001 s for one input"


def test_a_message_of_two_lines_is_found() -> None:
    def parse(data: bytes) -> None:
        if rare(data):
            raise ValueError("one\u2028two")

    [finding] = Fuzzer(planted(parse)).run(5000).findings
    assert finding.what == r"a message that is not one line: 'one\u2028two'"


def test_a_warning_is_found() -> None:
    def parse(data: bytes) -> None:
        if rare(data):
            import warnings

            warnings.warn("a number is too large", RuntimeWarning, stacklevel=1)

    [finding] = Fuzzer(planted(parse)).run(5000).findings
    assert finding.what.startswith("RuntimeWarning")


def test_inputs_follow_from_the_seed(tmp_path: Path) -> None:
    [parser] = [parser for parser in parsers(tmp_path) if parser.name == "message"]

    def inputs(seed: str) -> list[bytes]:
        mutator = Mutator(seed)
        return [parser.source(mutator) for _ in range(300)]

    assert inputs("one") == inputs("one")
    assert inputs("one") != inputs("two")


def test_mutations_are_many() -> None:
    mutator = Mutator("seed")
    example = bytes(range(40))
    changed = {mutator.mutated((example, bytes(40))) for _ in range(1000)}
    assert len(changed) > 900
    assert any(poison in data for data in changed for poison in HOSTILE if len(poison) > 500)
    assert mutator.mutated((b"",)) is not None


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--inputs", "300", "--parser", "name", "--parser", "message"]
    assert fuzzer.main(arguments) == 0
    shown = capsys.readouterr()
    assert [row.split()[1] for row in shown.out.splitlines()[2:]] == ["message", "name"]
    assert fuzzer.main([*arguments, "--json", "--seed", "3"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["seed"] == 3
    assert [parser["inputs"] for parser in record["parsers"]] == [300, 300]


def test_what_was_found_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_data: bytes) -> None:
        raise KeyError("gone")

    parser = dataclasses.replace(planted(parse), name="name")
    monkeypatch.setattr(fuzzer, "parsers", lambda _folder: (parser,))
    assert fuzzer.main(["--inputs", "200"]) == 1
    shown = capsys.readouterr()
    assert "KeyError: 'gone'" in shown.out
    assert "200 times" in shown.out
    assert shown.err.splitlines()[-1].startswith("fuzz: 1 kinds of inputs")


@pytest.mark.parametrize("arguments", [["--inputs", "0"], ["--parser", "nobody"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        fuzzer.main(arguments)
    assert "usage: python -m fuzz" in capsys.readouterr().err


def test_the_table_has_a_row_for_each(tmp_path: Path) -> None:
    assert tuple(parser.name for parser in parsers(tmp_path)) == PARSERS
    outcomes = [Outcome(parser=name, reads="") for name in PARSERS]
    assert len(fuzzer.table(outcomes).splitlines()) == 2 + len(PARSERS)
