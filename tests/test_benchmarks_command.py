"""A benchmark that goes wrong ends with a line and a code."""

import pytest

from diffc_benchmarks.command import exit_code
from diffc_stream.errors import UnreadablePicture


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UnreadablePicture("no picture"), 4, "name: no picture\n"),
        (FileNotFoundError("no file"), 1, "name: no file\n"),
        (KeyboardInterrupt(), 130, "name: interrupted\n"),
    ],
)
def test_what_goes_wrong_is_one_line(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise error

    assert exit_code("name", work) == code
    assert capsys.readouterr().err == said


def test_what_goes_well_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("name", lambda: None) == 0
    assert capsys.readouterr().err == ""
