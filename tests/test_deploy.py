"""What deploy/ says is what the daemons take."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import diffc_client.__main__
import diffc_server.__main__
from diffc_stream.transport.settings import Configuration

DEPLOY = Path(__file__).parent.parent / "deploy"

_OFF = re.compile(r"^#(?=[a-z][a-z-]* = )", re.MULTILINE)
"""What makes a line of an example a comment that could be meant."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A daemon as it is deployed."""

    name: str
    file: str
    configuration: Configuration
    command: str
    """Its table in the file; '': the file is its own."""
    prefix: str
    folders: frozenset[str]

    @property
    def unit(self) -> str:
        return (DEPLOY / f"{self.name}.service").read_text()

    @property
    def example(self) -> str:
        return (DEPLOY / self.file).read_text()

    @property
    def listed(self) -> dict[str, Any]:
        said = tomllib.loads(_OFF.sub("", self.example))
        return said[self.command] if self.command else said


@pytest.fixture(params=["sender", "mirror"])
def deployed(request: pytest.FixtureRequest) -> Deployed:
    name = "diffc-server" if request.param == "sender" else "diffc-mirror"
    folders = frozenset(f"/var/{kind}/{name}" for kind in ("lib", "cache"))
    if request.param == "sender":
        configuration = diffc_server.__main__.configuration()
        return Deployed(name, "server.toml", configuration, "", "DIFFC_SERVER", folders)
    configuration = diffc_client.__main__.configuration()
    return Deployed(name, "mirror.toml", configuration, "mirror", "DIFFC_CLIENT", folders)


def test_the_unit_starts_it_as_it_can_be_started(deployed: Deployed) -> None:
    [line] = re.findall(r"^ExecStart=(.*)$", deployed.unit, re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert program.endswith("/diffc-client" if deployed.command else "/diffc-server")
    if deployed.command:
        assert arguments.pop(0) == deployed.command
    path = DEPLOY / deployed.file
    options = [str(path) if word == f"/etc/diffc/{path.name}" else word for word in arguments]
    assert str(path) in options
    told = deployed.configuration.read(deployed.command, options, {})
    # systemd has to wait for longer than a drain may take.
    [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", deployed.unit, re.MULTILINE)
    assert int(stop) > getattr(told.options, "drain", 10)


def test_the_environment_of_the_unit_is_known(deployed: Deployed) -> None:
    configuration = deployed.configuration
    known = {
        configuration.variable(setting.key) for setting in configuration.settings[deployed.command]
    }
    variable = rf"^#?Environment=({deployed.prefix}_\w+)="
    assert set(re.findall(variable, deployed.unit, re.MULTILINE)) <= known


def test_the_unit_keeps_what_the_daemon_writes_where_it_may(deployed: Deployed) -> None:
    written = re.findall(r"/var/(?:lib|cache)/[\w-]+", deployed.unit + deployed.example)
    assert set(written) == deployed.folders
    assert f"StateDirectory={deployed.name}" in deployed.unit
    assert f"CacheDirectory={deployed.name}" in deployed.unit


def test_the_example_lists_every_key(deployed: Deployed) -> None:
    settings = deployed.configuration.settings[deployed.command]
    hidden = {"realism"}  # told where it is no option
    keys = {setting.key for setting in settings} - hidden
    assert sorted(deployed.listed) == sorted(keys)


def test_what_the_example_leaves_out_is_the_default(deployed: Deployed, tmp_path: Path) -> None:
    configuration, command = deployed.configuration, deployed.command
    everything = tmp_path / "all.toml"
    everything.write_text(_OFF.sub("", deployed.example))
    as_it_is = configuration.read(command, ["--config", str(DEPLOY / deployed.file)], {}).options
    in_full = configuration.read(command, ["--config", str(everything)], {}).options
    for setting in configuration.settings[command]:
        if setting.action.default not in (None, []):  # where there is none there are examples
            assert getattr(in_full, setting.dest, None) == getattr(as_it_is, setting.dest, None), (
                setting.key
            )


@pytest.mark.parametrize("option", ["Type=notify", "WatchdogSec=30", "DynamicUser=yes"])
def test_both_are_looked_after_alike(deployed: Deployed, option: str) -> None:
    assert f"\n{option}\n" in deployed.unit
