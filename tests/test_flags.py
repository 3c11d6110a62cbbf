"""One way to say how a picture is to be rendered."""

import argparse

import pytest

from diffc_stream.flags import add_rendering


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
