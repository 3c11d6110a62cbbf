"""The file of tokens."""

from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diffc_stream.errors import SafetyError
from diffc_stream.transport import tokens as module
from diffc_stream.transport.tokens import Tokens, add_token, digest_of, is_token

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HASH = "0" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def test_tokens_are_found_by_what_is_shown(path: Path) -> None:
    known = {name: add_token(path, name) for name in ("ship", "shore@example.org")}
    tokens = Tokens(path)
    assert len(tokens) == 2
    for name, token in known.items():
        assert is_token(token)
        found = tokens.find(token, NOW)
        assert found is not None
        assert (found.name, found.expires, found.limits) == (name, None, {})
        assert tokens.holds(found, NOW)
    for shown in ("", "x", known["ship"][:-1], known["ship"] + "a", "\ud800", "é"):
        assert tokens.find(shown, NOW) is None


def test_tokens_expire(path: Path) -> None:
    token = add_token(path, "ship", NOW)
    tokens = Tokens(path)
    found = tokens.find(token, NOW - timedelta(seconds=1))
    assert found is not None
    assert found.expires == NOW
    assert tokens.find(token, NOW) is None
    assert not tokens.holds(found, NOW)


def test_only_hashes_are_kept_and_for_nobody_else(path: Path) -> None:
    token = add_token(path, "ship")
    assert token not in path.read_text()
    assert digest_of(token) in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["tokens.toml"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_who_may_read_the_file_still_may_when_a_token_is_added(path: Path, mode: int) -> None:
    path.write_text("# ours\n")
    path.chmod(mode)
    add_token(path, "ship")
    assert path.read_text().startswith("# ours\n\n[[token]]\n")
    assert path.stat().st_mode & 0o777 == mode


def test_owner_and_group_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("")
    path.chmod(0o640)
    theirs = path.stat()
    kept: list[tuple[int, int, int]] = []

    def fchown(descriptor: int, user: int, group: int) -> None:
        kept.append((user, group, true(descriptor).st_size))

    def fstat(descriptor: int) -> os.stat_result:  # as of whoever else adds the token
        status = list(true(descriptor))
        status[stat.ST_UID] += 1
        return os.stat_result(status)

    true = os.fstat
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", fstat)
        patch.setattr(os, "fchown", fchown)
        add_token(path, "ship")
    assert kept == [(theirs.st_uid, theirs.st_gid, 0)]  # before anything is written


def test_a_file_whose_owner_cannot_be_kept_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_token(path, "ship")
    before = path.read_bytes()

    def refuse(*_: int) -> None:
        raise PermissionError(errno.EPERM, "no")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fchown", refuse)
        status = list(path.stat())
        status[stat.ST_GID] += 1
        patch.setattr(os, "fstat", lambda _: os.stat_result(status))
        with pytest.raises(PermissionError, match="only its owner or root") as caught:
            add_token(path, "shore")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["tokens.toml"]


def test_a_file_is_read_again_when_it_changes(path: Path) -> None:
    token = add_token(path, "ship")
    tokens = Tokens(path)
    found = tokens.find(token, NOW)
    assert found is not None
    assert not tokens.reread()
    other = add_token(path, "shore")
    assert tokens.reread()
    assert not tokens.reread()
    assert tokens.find(other, NOW) is not None
    for broken in ("[[token", None):
        if broken is None:
            path.unlink()
        else:
            path.write_text(broken)
        with pytest.raises(SafetyError):
            tokens.reread()
        assert not tokens.reread()  # told once
        assert tokens.holds(found, NOW)
    path.write_text(f'[[token]]\nname = "ship"\nsha256 = "{found.sha256}"\nstreams = 3\n')
    assert tokens.reread()
    assert tokens.holds(found, NOW)  # its limits are another matter
    path.write_text("# none any more")
    assert tokens.reread()
    assert not tokens.holds(found, NOW)


def test_an_empty_file_is_believed_when_nobody_is_writing_it_any_more(path: Path) -> None:
    token = add_token(path, "ship")
    good = path.read_text()
    tokens = Tokens(path)
    found = tokens.find(token, NOW)
    assert found is not None
    path.write_text("")
    for _ in range(2):
        assert not tokens.reread()
        assert tokens.holds(found, NOW)
    path.write_text(good)
    tokens.reread()
    assert tokens.holds(found, NOW)
    path.write_text("")
    before = path.stat().st_mtime - module.EMPTY - 1
    os.utime(path, (before, before))
    assert tokens.reread()
    assert not tokens.holds(found, NOW)


def test_limits(path: Path) -> None:
    path.write_text(
        f'[[token]]\nname = "ship"\nsha256 = "{digest_of("x")}"\nconnections = 4\n'
        "bytes_per_second = 1.5\nencoder_seconds_per_hour = 0\n"
    )
    found = Tokens(path).find("x", NOW)
    assert found is not None
    assert found.limits == {
        "connections": 4,
        "bytes_per_second": 1.5,
        "encoder_seconds_per_hour": 0,
    }


def entry(*lines: str, name: str = "ship", sha256: str = HASH) -> str:
    return "\n".join(["[[token]]", f'name = "{name}"', f'sha256 = "{sha256}"', *lines])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[token", "no file of tokens"),
        ("token = 3", "no file of tokens"),
        ("token = [3]", "no file of tokens"),
        ("[other]", "no file of tokens"),
        ("\x00", "no file of tokens"),
        ("a = " + "[" * 5000, "no file of tokens"),
        ("#" * (module.MOST_FILE + 1), "longer than"),
        ("[[token]]", "proper name"),
        (entry(name="a b"), "proper name"),
        (entry(sha256="abc"), "sha256"),
        (entry(sha256=HASH.replace("0", "A")), "sha256"),
        (entry("expires = 2027-01-01"), "expires"),
        (entry("expires = 2027-01-01T00:00:00"), "expires"),
        (entry('expires = "never"'), "expires"),
        (entry("speed = 3"), "not known"),
        (entry("streams = -1"), "streams"),
        (entry("streams = true"), "streams"),
        (entry("bytes_per_hour = nan"), "bytes_per_hour"),
        (entry('streams = "3"'), "streams"),
        (f"{entry()}\n{entry(sha256='1' * 64)}", "twice"),
        (f"{entry()}\n{entry(name='shore')}", "twice"),
    ],
)
def test_files_that_are_none(path: Path, text: str, complaint: str) -> None:
    path.write_text(text)
    with pytest.raises(SafetyError, match=complaint) as caught:
        Tokens(path)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_as_editors_on_windows_write_it(path: Path) -> None:
    token = add_token(path, "ship")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert Tokens(path).find(token, NOW) is not None


def test_no_file(path: Path) -> None:
    with pytest.raises(SafetyError, match="No such file"):
        Tokens(path)


def test_what_cannot_be_added(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_token(path, "ship")
    before = path.read_text()
    with pytest.raises(SafetyError, match="has a token 'ship'"):
        add_token(path, "ship")
    for name in ("", "a b", 'a"', "a\n", "-a", "a" * 65):
        with pytest.raises(SafetyError, match="is no name"):
            add_token(path, name)
    monkeypatch.setattr(module, "MOST_TOKENS", 1)
    with pytest.raises(SafetyError, match="is the most"):
        add_token(path, "shore")
    assert path.read_text() == before
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208
