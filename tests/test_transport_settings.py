"""Flags, the environment, a file and defaults: which counts, and what is refused."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

import diffc_client.__main__
import diffc_server.__main__
from diffc_stream.errors import ConfigurationError
from diffc_stream.flags import add_rendering, integer
from diffc_stream.transport.settings import MOST_BYTES, Configuration, Setting, add_configuration

CANDIDATES: Final = (
    *("2048", "4096", "7", "3", "0.5", "1", "127.0.0.1:7", "127.0.0.1:8"),
    *(
        "station.example",
        "ship.example",
        "ws://station:7",
        "ws://ship:8",
        "https://station.example",
        "https://ship.example",
    ),
    *("all", "time", "22:00-06:00", "12:00-13:00", "mqtt://hub/gate", "mqtt://hub/door"),
)
"""What some option or other takes, for want of knowing what each is for."""


def program(name: str) -> Configuration:
    main = {"diffc-server": diffc_server, "diffc-client": diffc_client}[name].__main__
    made: Configuration = main.configuration()
    return made


ALL = [
    pytest.param(
        name, command, setting.key, id=f"{name}-{command}-{setting.key}".replace("--", "-")
    )
    for name in ("diffc-server", "diffc-client")
    for command, settings in program(name).settings.items()
    for setting in settings
]


def two(setting: Setting) -> list[object]:
    """Return two values, as a file would say them, that differ from each other and the default."""
    if setting.flag:
        return [not setting.action.default, setting.action.default]
    if setting.action.choices is not None:
        return [*setting.action.choices][-2:]
    values: dict[Any, object] = {}
    for text in CANDIDATES:
        said: object = [text] if setting.many else text
        try:
            value = setting.value(said)
        except ValueError:
            continue
        if value != setting.action.default:
            values.setdefault(str(value), said)
    assert len(values) >= 2, f"say in CANDIDATES what --{setting.key} takes"
    return [*values.values()][:2]


def flags(setting: Setting, said: object, configuration: Configuration, command: str) -> list[str]:
    """Return a command line that says so of a setting, and nothing of others but what must be."""
    line: list[str] = []
    for other in configuration.settings[command]:
        if other.required and other.key != setting.key:
            line.append("needed")
        elif not other.action.option_strings and other.key == setting.key:
            line += [said] if isinstance(said, str) else [str(word) for word in listed(said)]
    if not setting.action.option_strings:
        return line
    if setting.flag:
        return [*line, f"--{'' if said else 'no-'}{setting.key}"]
    return [*line, *(f"--{setting.key}={word}" for word in listed(said))]


def bare(setting: Setting, configuration: Configuration, command: str) -> list[str]:
    """Return the shortest command line that says nothing of a setting."""
    needed = [other for other in configuration.settings[command] if other.required]
    if any(other.key == setting.key for other in needed):
        return []  # one or the other would be taken for it
    return ["needed" for _ in needed]


def listed(said: object) -> list[object]:
    return said if isinstance(said, list) else [said]


def variable(said: object) -> str:
    if isinstance(said, bool):
        return "yes" if said else "no"
    return " ".join(map(str, listed(said)))


def document(command: str, key: str, said: object) -> str:
    values = [str(word).lower() if isinstance(word, bool) else f"'{word}'" for word in listed(said)]
    value = f"[{', '.join(values)}]" if isinstance(said, list) else values[0]
    return (f"[{command}]\n" if command else "") + f"{key} = {value}\n"


@pytest.mark.parametrize(("name", "command", "key"), ALL)
def test_flags_before_the_environment_before_a_file_before_defaults(
    name: str, command: str, key: str, tmp_path: Path
) -> None:
    configuration = program(name)
    [setting] = [s for s in configuration.settings[command] if s.key == key]
    file = tmp_path / "told.toml"
    upper, lower = two(setting)
    for first, second in ((upper, lower), (lower, upper)):
        wanted = setting.value(first)

        def got(line: list[str], environment: dict[str, str]) -> Any:
            # One that is needed may be nowhere here but where it is looked for.
            told = configuration.read(command, [*line, "--print-config"], environment)
            return getattr(told.options, setting.dest)

        quiet = bare(setting, configuration, command)
        said = flags(setting, first, configuration, command)
        first_in_environment = {configuration.variable(key): variable(first)}
        second_in_environment = {configuration.variable(key): variable(second)}
        default = setting.action.default
        if default is not argparse.SUPPRESS:
            plain = setting.value(default) if isinstance(default, str) else default
            assert got(quiet, {}) == plain
        file.write_text(document(command, key, first))
        at_file = ["--config", str(file)]
        assert got([*quiet, *at_file], {}) == wanted
        assert got(quiet, {configuration.variable("config"): str(file)}) == wanted
        file.write_text(document(command, key, second))
        assert got([*quiet, *at_file], first_in_environment) == wanted
        assert got([*said, *at_file], {}) == wanted
        assert got([*said, *at_file], second_in_environment) == wanted
        assert got(said, {}) == wanted


@pytest.mark.parametrize(
    ("name", "command"), [("diffc-server", ""), ("diffc-client", "run")], ids=str
)
def test_what_is_printed_can_be_fed_back(name: str, command: str, tmp_path: Path) -> None:
    configuration = program(name)
    file = tmp_path / "told.toml"
    needed = ["needed" for setting in configuration.settings[command] if setting.required]
    environments: list[dict[str, str]] = [
        {},
        {
            configuration.variable(setting.key): variable(two(setting)[0])
            for setting in configuration.settings[command]
            if setting.key != "realism"  # or render
        },
    ]
    for environment in environments:
        told = configuration.read(command, needed, environment)
        text = told.toml()
        file.write_text(text)
        again = configuration.read(command, ["--config", str(file)], {})
        for setting in configuration.settings[command]:
            assert getattr(again.options, setting.dest) == getattr(told.options, setting.dest)
        # Each line says who said so.
        for line in text.splitlines():
            origin = line.rpartition("  # ")[2]
            assert origin in {"command line", "default", *environment} or line[0] in "[#"
        assert again.toml().count(f"  # {file}") == text.count("  # ")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pump")
    add_configuration(parser)
    parser.add_argument("folder")
    parser.add_argument("--store-size", type=integer(0, 9), default=4)
    parser.add_argument("--name", action="append", default=[])
    parser.add_argument("--level", choices=["low", "high"], default="low")
    parser.add_argument("--no-lid", dest="lid", action="store_false")
    parser.add_argument("--secret")
    add_rendering(parser)
    return parser


def pump() -> Configuration:
    return Configuration("PUMP", {"": parser()}, aside=("secret",))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_printing(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("told") / "told.toml"
    told = pump().read("", ["--name", "x", f"--name={text}", "--", text], {})
    file.write_text(told.toml(), encoding="utf-8", newline="")
    again = pump().read("", ["--config", str(file)], {}).options
    assert (again.folder, again.name) == (text, ["x", text])


def test_passwords_are_not_shown() -> None:
    line = ["x", "--name", "a", "--name", "ftp://me:hush@station/a"]
    told = pump().read("", line, {})
    assert "hush" not in told.toml()
    assert "# name holds a password  # command line" in told.toml()
    assert told.options.name == line[2::2]


@pytest.mark.parametrize("text", ["0", "0.5", "1"])
def test_two_options_for_one_thing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "told.toml"
    told = pump().read("", ["x", "--realism", text], {"PUMP_RENDER": "flow"})
    assert told.options.render == float(text)
    file.write_text(told.toml())
    assert "render" not in told.toml()
    assert pump().read("", ["--config", str(file)], {}).options.render == float(text)
    file.write_text("render = 'flow'\nrealism = 0.5\n")
    with pytest.raises(ConfigurationError, match="render and realism exclude each other"):
        pump().read("", ["x", "--config", str(file)], {})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("store_size = 3", "the key 'store_size' is unknown: the nearest there is, is store-size"),
        ("sotre-size = 3", "the key 'sotre-size' is unknown: the nearest there is, is store-size"),
        ("secret = 'x'", "the key 'secret' is unknown"),
        ("config = 'x'", "the key 'config' is unknown"),
        ("[pump]\nstore-size = 3", "the key 'pump' is unknown"),
        ("store-size = 10", "store-size: 10 is not within 0 to 9"),
        ("store-size = 1.5", "store-size: 1.5 is not of the type integer"),
        ("store-size = true", "store-size: True is neither a text nor a number"),
        ("store-size = [1]", "store-size: [1] is neither a text nor a number"),
        ("store-size = 1979-05-27", "is neither a text nor a number"),
        ("name = [[1]]", "name: [1] is neither a text nor a number"),
        ("level = 'mid'", "level: 'mid' is none of low, high"),
        ("lid = 'true'", "lid: 'true' is neither true nor false"),
        ("lid = 1", "lid: 1 is neither true nor false"),
        ("lid = true\nlid = true", "not TOML: "),
        ("lid", "not TOML: "),
        ("a = " + 5000 * "[", "not TOML: "),
        ("a = " + 5000 * "9", "not TOML: "),
        ("# " + MOST_BYTES * "x", "bytes are no configuration"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "told.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        pump().read("", ["x", "--config", str(file)], {})
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{file}: ")
    assert complaint in line


def test_files_as_editors_on_windows_write_them(tmp_path: Path) -> None:
    file = tmp_path / "told.toml"
    file.write_bytes(b"\xef\xbb\xbflid = true\r\n")
    assert pump().read("", ["x", "--config", str(file)], {}).options.lid is True


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere: No such file"):
        pump().read("", ["x", "--config", "nowhere"], {})
    with pytest.raises(ConfigurationError, match="Is a directory"):
        pump().read("", ["x"], {"PUMP_CONFIG": str(tmp_path)})
    (tmp_path / "x").write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigurationError, match="x: not TOML: "):
        pump().read("", ["x", "--config", str(tmp_path / "x")], {})


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        (
            {"PUMP_STORESIZE": "3"},
            "PUMP_STORESIZE is unknown: the nearest there is, is PUMP_STORE_",
        ),
        ({"PUMP_STORESIZE": ""}, "PUMP_STORESIZE is unknown"),
        ({"PUMP_SECRET": "x"}, "PUMP_SECRET is unknown"),
        ({"PUMP_STORE_SIZE": "many"}, "PUMP_STORE_SIZE: 'many' is not of the type integer"),
        ({"PUMP_LID": "maybe"}, "PUMP_LID: 'maybe' is neither true nor false"),
        ({"PUMP_NAME": "it's"}, "PUMP_NAME: No closing quotation"),
        ({"PUMP_RENDER": "flow", "PUMP_REALISM": "1"}, "render and realism exclude each other"),
    ],
)
def test_environments_that_are_refused(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pump().read("", ["x"], environment)
    [line] = str(caught.value).splitlines()
    assert complaint in line


def test_what_an_environment_may_say() -> None:
    environment = {
        "PUMP_NAME": "a 'b c'",
        "PUMP_LID": "off",
        "PUMP_LEVEL": "",
        "PUMPS": "",
        "PUMP_FOLDER": "a b",
    }
    options = pump().read("", [], environment).options
    assert (options.name, options.lid, options.level) == (["a", "b c"], False, "low")
    assert options.folder == "a b"


def test_what_is_needed_must_be_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        pump().read("", [], {})
    assert caught.value.code == 2
    assert "the following are needed: folder" in capsys.readouterr().err
    assert "# folder is not set" in pump().read("", ["--print-config"], {}).toml()


def test_wrong_flags_are_refused_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    for line in (
        ["x", "--store-size", "10"],
        ["x", "--level", "mid"],
        ["x", "--sotre"],
        ["x", "y"],
    ):
        with pytest.raises(SystemExit) as caught:
            pump().read("", line, {})
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("usage: pump")


def test_one_file_for_several_commands(tmp_path: Path) -> None:
    file = tmp_path / "told.toml"
    both = Configuration("PUMP", {"fill": parser(), "drain": parser()})
    file.write_text("[fill]\nfolder = 'a'\n[drain]\nfolder = 'b'\nstore-size = 1\n")
    told = both.read("drain", ["--config", str(file)], {})
    assert (told.options.folder, told.options.store_size) == ("b", 1)
    assert told.toml().startswith("[drain]\n")
    assert both.read("fill", ["--config", str(file)], {}).options.folder == "a"
    for text, complaint in (
        ("[flil]\n", "the table 'flil' is unknown: the nearest there is, is fill"),
        ("folder = 'a'\n", "the table 'folder' is unknown"),
        ("fill = 1\n", "fill is not a table"),
        ("[fill]\nfloder = 'a'\n", "the key 'floder' is unknown"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=complaint):
            both.read("drain", ["x", "--config", str(file)], {})


@pytest.mark.parametrize(
    ("main", "name", "line", "text", "key"),
    [
        (diffc_server.__main__.main, "diffc-server", [], "folder = 'x'\n{}", "port"),
        (diffc_client.__main__.main, "diffc-client", ["run"], "[run]\nfolder = 'x'\n{}", "every"),
    ],
    ids=["server", "client"],
)
def test_commands_print_it_and_refuse_in_one_line(
    main: Callable[[list[str]], int],
    name: str,
    line: list[str],
    text: str,
    key: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "told.toml"
    file.write_text(text.format(f"{key} = 7"))
    assert main([*line, "--config", str(file), "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert f'\nfolder = "x"  # {file}\n' in f"\n{printed}"
    assert f"\n{key} = 7" in printed
    file.write_text(text.format(f"{key}s = 7"))
    assert main([*line, "--config", str(file)]) == 2
    [complaint] = capsys.readouterr().err.splitlines()
    assert complaint == (
        f"{name}: {file}: the key '{key}s' is unknown: the nearest there is, is {key}"
    )
