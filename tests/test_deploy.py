"""What deploy/ says is what the daemon takes."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import diffc_server.__main__

DEPLOY = Path(__file__).parent.parent / "deploy"
UNIT = (DEPLOY / "diffc-server.service").read_text()
EXAMPLE = (DEPLOY / "server.toml").read_text()

_OFF = re.compile(r"^#(?=[a-z][a-z-]* = )", re.MULTILINE)
"""What makes a line of the example a comment that could be meant."""


def test_the_unit_starts_it_as_it_can_be_started() -> None:
    [line] = re.findall(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert program.endswith("/diffc-server")
    path = DEPLOY / "server.toml"
    options = [str(path) if word == "/etc/diffc/server.toml" else word for word in arguments]
    assert str(path) in options
    told = diffc_server.__main__.configuration().read("", options, {})
    # systemd has to wait for longer than a drain may take.
    [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert int(stop) > told.options.drain


def test_the_environment_of_the_unit_is_known() -> None:
    configuration = diffc_server.__main__.configuration()
    known = {configuration.variable(setting.key) for setting in configuration.settings[""]}
    named = set(re.findall(r"^#?Environment=(DIFFC_SERVER_\w+)=", UNIT, re.MULTILINE))
    assert named <= known


def test_the_unit_keeps_what_the_daemon_writes_where_it_may() -> None:
    folders = {"/var/lib/diffc-server", "/var/cache/diffc-server"}
    written = re.findall(r"/var/(?:lib|cache)/[\w-]+", UNIT + EXAMPLE)
    assert set(written) == folders
    assert "StateDirectory=diffc-server" in UNIT
    assert "CacheDirectory=diffc-server" in UNIT


def test_the_example_lists_every_key() -> None:
    keys = [setting.key for setting in diffc_server.__main__.configuration().settings[""]]
    listed = tomllib.loads(_OFF.sub("", EXAMPLE))
    assert sorted(listed) == sorted(keys)


def test_what_the_example_leaves_out_is_the_default(tmp_path: Path) -> None:
    configuration = diffc_server.__main__.configuration()
    everything = tmp_path / "server.toml"
    everything.write_text(_OFF.sub("", EXAMPLE))
    as_it_is = configuration.read("", ["--config", str(DEPLOY / "server.toml")], {}).options
    in_full = configuration.read("", ["--config", str(everything)], {}).options
    for setting in configuration.settings[""]:
        if setting.action.default not in (None, []):  # where there is none there are examples
            assert getattr(in_full, setting.dest) == getattr(as_it_is, setting.dest), setting.key
