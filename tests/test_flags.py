"""What the flags of commands have in common."""

import argparse

import pytest

from diffc_stream.flags import add_rendering, endpoint, integer, number, size


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_rendering(parser)
    return parser


@pytest.mark.parametrize(
    ("given", "render"),
    [([], "mmse"), (["--render", "flow"], "flow"), (["--realism", "0.25"], 0.25)],
)
def test_both_flags_say_how_to_render(
    parser: argparse.ArgumentParser, given: list[str], render: object
) -> None:
    assert parser.parse_args(given).render == render


@pytest.mark.parametrize(
    "given",
    [
        ["--realism", "1.01"],
        ["--realism", "-0.1"],
        ["--realism", "nan"],
        ["--realism", "half"],
        ["--render", "best"],
        ["--render", "flow", "--realism", "0.5"],
    ],
)
def test_anything_else_is_wrong_usage(parser: argparse.ArgumentParser, given: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(given)
    assert caught.value.code == 2


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("7", 7), ("5", 5)])
def test_integers_within(text: str, value: int) -> None:
    assert integer(1, 7)(text) == value


@pytest.mark.parametrize("text", ["0", "8", "-1", "99999999999999999999"])
def test_integers_beyond(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"{text} is not within 1 to 7"):
        integer(1, 7)(text)


@pytest.mark.parametrize(("text", "value"), [("1e-9", 1e-9), ("2", 2.0), ("2.5", 2.5)])
def test_numbers_within(text: str, value: float) -> None:
    assert number(2.5)(text) == value


@pytest.mark.parametrize("text", ["0", "2.6", "-1", "nan", "inf"])
def test_numbers_beyond(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not above 0 and up to 2\.5"):
        number(2.5)(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("500K", 512_000), ("3M", 3 * 2**20), ("2G", 2**31), ("1T", 2**40)],
)
def test_sizes(text: str, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize("text", ["0", "0G", "-1", "G", "1.5G", "1g", "2X", "", "999999999999T"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of bytes"):
        size(text)


def test_what_is_no_number_is_argparses_business() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("n", type=integer(1, 7))
    parser.add_argument("x", type=number(2.5))
    with pytest.raises(argparse.ArgumentError, match="invalid integer value: 'x'"):
        parser.parse_args(["x", "1"])
    with pytest.raises(argparse.ArgumentError, match="invalid number value: 'x'"):
        parser.parse_args(["1", "x"])


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("9000", "127.0.0.1", 9000),
        ("0", "127.0.0.1", 0),
        ("0.0.0.0:9000", "0.0.0.0", 9000),
        ("station.example:1", "station.example", 1),
        ("[::1]:65535", "::1", 65535),
    ],
)
def test_endpoints(text: str, host: str, port: int) -> None:
    found = endpoint(text)
    assert (found.host, found.port) == (host, port)
    assert endpoint(str(found)) == found


@pytest.mark.parametrize(
    "text", ["", "station", ":1", "::1", "::1:9000", "station:", "station:x", "1:65536", "-1", "²"]
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        endpoint(text)
