"""What publishes the packages and puts them into containers, as far as it can be told from here."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import diffc_client.__main__
import diffc_server.__main__
from diffc_stream.transport.settings import Configuration

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {
    "msgpack": "msgpack-python",
    "pillow": "pillow",
    "prometheus-client": "prometheus_client",
}
"""Of packages that conda-forge calls otherwise."""


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(path.read_text())
    return found


@pytest.mark.parametrize(
    ("schema", "path"),
    [("compose-spec", DEPLOY / "compose.yaml"), *(("github-workflows", w) for w in WORKFLOWS)],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_files_are_what_their_programs_read(schema: str, path: Path) -> None:
    program = [sys.executable, "-m", "check_jsonschema"]
    command = [*program, "--builtin-schema", f"vendor.{schema}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_do_no_more_than_they_have_to(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        publishes = name in ("pypi", "npm")
        assert job.get("permissions") == ({"id-token": "write"} if publishes else None)
        assert ("environment" in job) == publishes
        steps = job["steps"]
        assert not publishes or not any("checkout" in step.get("uses", "") for step in steps)
    assert "secrets." not in path.read_text()


def test_workflows_run_targets_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    assert {*re.findall(r"run: make ([a-z]+)", text)} == {"test", "dist", "site"}
    assert {*re.findall(r"make ([a-z]+)", text)} <= targets


def test_both_packages_have_one_version() -> None:
    manifest = json.loads((ROOT / "client/viewer/js/package.json").read_text())
    conda = read(DEPLOY / "conda" / "recipe.yaml")
    assert PROJECT["version"] == manifest["version"] == conda["context"]["version"]


def test_conda_takes_what_pip_takes() -> None:
    recipe = read(DEPLOY / "conda" / "recipe.yaml")
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["fast"]]
    expected = {"python": f">={recipe['context']['python_min']}"}
    for requirement in wanted:
        match = re.fullmatch(r"([\w-]+)(.*)", requirement)
        assert match is not None
        name = match[1].lower()
        expected[CONDA_NAMES.get(name, name)] = match[2]
    said = dict(f"{line} ".split(" ", 1) for line in recipe["requirements"]["run"])
    told = {name: version.strip() for name, version in said.items()}
    told["python"] = f">={recipe['context']['python_min']}"
    assert told == expected
    points = dict(point.split(" = ") for point in recipe["build"]["python"]["entry_points"])
    assert points == PROJECT["scripts"]


def configurations() -> dict[str, tuple[Configuration, str]]:
    return {
        "DIFFC_SERVER": (diffc_server.__main__.configuration(), ""),
        "DIFFC_CLIENT": (diffc_client.__main__.configuration(), "mirror"),
    }


def arguments(command: list[str]) -> list[str]:
    """Return the arguments of a daemon, without the name of its command."""
    program, *others = command
    assert program in PROJECT["scripts"]
    return others[1:] if program == "diffc-client" else others


def test_the_containers_start_the_daemons_as_they_can_be_started() -> None:
    image = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    [line] = re.findall(r"^ENV (.*)$", image, re.MULTILINE)
    environment = dict(word.split("=", 1) for word in shlex.split(line))
    [command] = re.findall(r"^CMD (.*)$", image, re.MULTILINE)
    services = read(DEPLOY / "compose.yaml")["services"]
    for name, prefix in (("sender", "DIFFC_SERVER"), ("mirror", "DIFFC_CLIENT")):
        service = services[name]
        configuration, table = configurations()[prefix]
        told = environment | service["environment"]
        known = {configuration.variable(s.key) for s in configuration.settings[table]}
        ours = {key: value for key, value in told.items() if key.startswith(prefix)}
        assert set(ours) <= known
        words = arguments(service.get("command", json.loads(command)))
        options = configuration.read(table, words, ours).options
        port = int(service["ports"][-1].rpartition(":")[2])
        assert options.metrics.port == port
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    options = configurations()["DIFFC_SERVER"][0].read("", ["/srv/pictures"], environment).options
    assert (options.host, options.insecure) == ("0.0.0.0", True)


def test_the_image_copies_what_is_there_and_nothing_private() -> None:
    image = (DEPLOY / "Dockerfile").read_text()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert ignored[0] == "*"  # only what is named comes into the image
    for name in (line.removeprefix("!") for line in ignored if line.startswith("!")):
        assert (ROOT / name).exists()
    for line in re.findall(r"^COPY (?!--from)(.*)$", image, re.MULTILINE):
        assert all((ROOT / source).exists() for source in line.split()[:-1])
    assert re.search(r"^USER \d+$", image, re.MULTILINE)


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="no hadolint here")
def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    command = ["hadolint", str(DEPLOY / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
