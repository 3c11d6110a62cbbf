"""Settings of a command from four layers: flags, the environment, a file, and defaults.

Options are declared only once, in the command's parser.  ``--store-size`` on the command line of
diffc-server is ``DIFFC_SERVER_STORE_SIZE`` in the environment and ``store-size`` in a TOML file,
and has the same type and choices everywhere.  A flag is true or false in the environment and the
file, and has an opposite on the command line: ``--compare`` and ``--no-compare``, ``--no-viewer``
and ``--viewer``.  Lists are arrays in the file, and words in the environment, quoted as for a
shell; an empty variable counts as unset.  A value replaces the values of the layers below it, also
if it is a list.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import shlex
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from diffc_stream.errors import ConfigurationError

from .toml import read_toml

MOST_BYTES = 65_536
"""Most bytes of a file."""

_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
"""A password in a URL, which must not be shown."""
_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
"""Words for true and false in the environment."""


def add_configuration(group: argparse._ActionsContainer) -> None:
    """Add ``--config`` and ``--print-config``."""
    group.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="TOML file of options, called there as here without the dashes; flags and the "
        "environment count more",
    )
    group.add_argument(
        "--print-config",
        action="store_true",
        help="print what holds, as such a file, with where each comes from, and end",
    )


class Setting:
    """An option, as it is named and written outside the command line."""

    def __init__(self, action: argparse.Action) -> None:
        """Describe the option of ``action``."""
        self.action = action
        self.dest = action.dest
        self.required = action.required
        self.flag = isinstance(
            action,
            argparse._StoreTrueAction | argparse._StoreFalseAction | argparse.BooleanOptionalAction,
        )
        """Whether it is true or false."""
        self.many = isinstance(action, argparse._AppendAction) or action.nargs in ("+", "*")
        """Whether it is a list."""
        names = [name for name in action.option_strings if name.startswith("--")]
        key = names[0].removeprefix("--") if names else action.dest
        self.key = key.removeprefix("no-") if self.flag else key
        """Its name in a file."""

    def value(self, said: object) -> Any:
        """Convert ``said``, a value from a file, to the option's value.

        Raises ValueError, with one line, if it has another type or is not one of the choices.
        """
        if self.flag:
            if not isinstance(said, bool):
                raise ValueError(f"{said!r} is neither true nor false")
            return said
        if not self.many:
            return self._one(said)
        said = said if isinstance(said, list) else [said]
        if not said and self.action.nargs == "+":
            raise ValueError("at least one is needed")
        return [self._one(item) for item in said]

    def words(self, text: str) -> object:
        """Return what a file would hold for the text of a variable.  Raises ValueError."""
        if self.flag:
            return _WORDS.get(text.lower(), text)
        return shlex.split(text) if self.many else text

    def says(self, value: object) -> str | None:
        """Return the TOML for an option's value, or None if no TOML stands for it."""
        said = _toml(value)
        try:
            again = self.value(tomllib.loads(f"x = {said}")["x"])
        except ValueError:
            return None
        return said if again == value else None

    def _one(self, said: object) -> Any:
        if isinstance(said, bool) or not isinstance(said, str | int | float):
            raise ValueError(f"{said!r} is neither a text nor a number")
        convert = self.action.type or str
        assert callable(convert)
        try:
            value = convert(str(said))
        except argparse.ArgumentTypeError as error:
            raise ValueError(str(error)) from error
        except (TypeError, ValueError) as error:
            kind = getattr(convert, "__name__", "value")
            raise ValueError(f"{said!r} is not of the type {kind}") from error
        if self.action.choices is not None and value not in self.action.choices:
            raise ValueError(f"{said!r} is none of {', '.join(map(str, self.action.choices))}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The value of a setting, and where it comes from."""

    setting: Setting
    value: Any
    origin: str


class Effective:
    """The settings in force for a command."""

    def __init__(self, command: str, options: argparse.Namespace, said: Sequence[Said]) -> None:
        """Hold the ``options`` of a command, which come from ``said``."""
        self.options = options
        """The options, in the form that the parser alone would return."""
        self._command = command
        self._said = said

    def toml(self) -> str:
        """Return the settings as a file that says where each comes from, without passwords."""
        lines = [f"[{self._command}]"] if self._command else []
        for said in self._said:
            if said.value is None:
                lines.append(f"# {said.setting.key} is not set")
            elif _PASSWORD.search(_toml(said.value)):
                lines.append(f"# {said.setting.key} holds a password  # {said.origin}")
            else:
                lines.append(f"{said.setting.key} = {_toml(said.value)}  # {said.origin}")
        return "\n".join(lines) + "\n"


class Configuration:
    """Reads the options of a program's commands from the command line and from elsewhere."""

    def __init__(
        self,
        prefix: str,
        commands: Mapping[str, argparse.ArgumentParser],
        *,
        aside: Collection[str] = (),
    ) -> None:
        """Configure ``commands`` by environment variables that begin with ``prefix`` and ``_``.

        Each command has a table of its name in a file.  If a program has only one command, that is
        called ``""`` and has the whole file.  Options in ``aside`` are for the command line only.
        This adds the opposites of flags to the parsers.
        """
        self._prefix = prefix
        self._commands = commands
        aside = {*aside, "help", "config", "print-config"}
        self.settings = {
            name: [setting for setting in _settings(parser) if setting.key not in aside]
            for name, parser in commands.items()
        }
        """Settings by command."""
        for name, parser in commands.items():
            _add_opposites(parser, self.settings[name])
            for setting in self.settings[name]:
                setting.action.required = False  # It may be set elsewhere.

    def variable(self, key: str) -> str:
        """Return the environment variable for a key of the file."""
        return f"{self._prefix}_{key.upper().replace('-', '_')}"

    def read(
        self, command: str, arguments: Sequence[str] | None, environment: Mapping[str, str]
    ) -> Effective:
        """Return the settings in force for a command that is called with ``arguments``.

        Raises ConfigurationError.  Wrong flags end the process, as usual with argparse.
        """
        parser, settings = self._commands[command], self.settings[command]
        # None marks an option as not given, and keeps argparse from filling in its default.
        unsaid = argparse.Namespace(**{setting.dest: None for setting in settings})
        options = parser.parse_args(arguments, unsaid)
        layers = [
            {s.dest: _flagged(s, settings, options) for s in settings if _is_said(s, options)},
            self._of_environment(command, environment),
            self._of_file(command, options.config, environment),
            {s.dest: _default(s) for s in reversed(settings) if not _is_suppressed(s)},
        ]
        held: dict[str, Said] = {}
        for layer in reversed(layers):
            held |= layer
        for dest, said in held.items():
            setattr(options, dest, said.value)
        missing = [
            setting.action.metavar or setting.key
            for setting in settings
            if setting.required and held[setting.dest].value is None
        ]
        if missing and not options.print_config:
            parser.error(f"the following are needed: {', '.join(map(str, missing))}")
        order = dict.fromkeys(setting.dest for setting in settings)
        return Effective(command, options, [held[dest] for dest in order])

    def _of_environment(self, command: str, environment: Mapping[str, str]) -> dict[str, Said]:
        known = {self.variable(s.key) for settings in self.settings.values() for s in settings}
        known.add(self._file)
        for name in sorted(environment):
            if name.startswith(f"{self._prefix}_") and name not in known:
                raise ConfigurationError(f"{name} is unknown: {_nearest(name, known)}")
        return _layer(
            (variable, setting, _worded(setting, variable, text))
            for setting in self.settings[command]
            if (text := environment.get(variable := self.variable(setting.key)))
        )

    def _of_file(
        self, command: str, path: Path | None, environment: Mapping[str, str]
    ) -> dict[str, Said]:
        if path is None and environment.get(self._file):
            path = Path(environment[self._file])
        if path is None:
            return {}
        document = _read(path)
        if "" not in self.settings:
            _refuse_unknown(path, "table", document, self.settings)
            for name, table in document.items():
                if not isinstance(table, dict):
                    raise ConfigurationError(f"{path}: {name} is not a table: write [{name}]")
        tables = {"": document} if "" in self.settings else document
        for name, table in tables.items():
            _refuse_unknown(path, "key", table, (setting.key for setting in self.settings[name]))
        table = tables.get(command, {})
        return _layer(
            (str(path), setting, _told(setting, f"{path}: {setting.key}", table[setting.key]))
            for setting in self.settings[command]
            if setting.key in table
        )

    @cached_property
    def _file(self) -> str:
        return self.variable("config")


def _settings(parser: argparse.ArgumentParser) -> Iterator[Setting]:
    keys = set()
    for action in parser._actions:
        setting = Setting(action)
        if setting.key not in keys:  # A flag and its opposite are one setting.
            keys.add(setting.key)
            yield setting


def _add_opposites(parser: argparse.ArgumentParser, settings: Iterable[Setting]) -> None:
    for setting in settings:
        action = setting.action
        if isinstance(action, argparse._StoreTrueAction):
            name, store = f"--no-{setting.key}", "store_false"
        elif isinstance(action, argparse._StoreFalseAction):
            name, store = f"--{setting.key}", "store_true"
        else:
            continue
        if not any(name in other.option_strings for other in parser._actions):
            parser.add_argument(
                name,
                dest=setting.dest,
                action=store,
                default=argparse.SUPPRESS,
                help=argparse.SUPPRESS,
            )


def _is_said(setting: Setting, options: argparse.Namespace) -> bool:
    value = getattr(options, setting.dest)
    return value is not None and not (setting.many and value == [])


def _flagged(setting: Setting, settings: list[Setting], options: argparse.Namespace) -> Said:
    """Return the value from the command line, with an option that can express it in a file."""
    value = getattr(options, setting.dest)
    said = next((s for s in settings if s.dest == setting.dest and s.says(value)), setting)
    return Said(setting=said, value=value, origin="command line")


def _is_suppressed(setting: Setting) -> bool:
    return setting.action.default is argparse.SUPPRESS


def _default(setting: Setting) -> Said:
    default = setting.action.default
    value = setting.value(default) if isinstance(default, str) else default
    return Said(setting=setting, value=value, origin="default")


def _worded(setting: Setting, variable: str, text: str) -> Any:
    try:
        said = setting.words(text)
    except ValueError as error:
        raise ConfigurationError(f"{variable}: {error}") from error
    return _told(setting, variable, said)


def _told(setting: Setting, origin: str, said: object) -> Any:
    try:
        return setting.value(said)
    except ValueError as error:
        raise ConfigurationError(f"{origin}: {error}") from error


def _layer(told: Iterable[tuple[str, Setting, Any]]) -> dict[str, Said]:
    layer: dict[str, Said] = {}
    for origin, setting, value in told:
        other = layer.get(setting.dest)
        if other is not None:
            keys = f"{other.setting.key} and {setting.key}"
            raise ConfigurationError(f"{origin}: {keys} exclude each other")
        layer[setting.dest] = Said(setting=setting, value=value, origin=origin)
    return layer


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path, MOST_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except OverflowError as error:
        message = f"{path}: more than {MOST_BYTES} bytes are no configuration"
        raise ConfigurationError(message) from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from error


def _refuse_unknown(path: Path, what: str, table: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in table:
        if name not in known:
            raise ConfigurationError(
                f"{path}: the {what} {name!r} is unknown: {_nearest(name, known)}"
            )


def _nearest(name: str, known: Iterable[str]) -> str:
    [nearest] = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    return f"the nearest there is, is {nearest}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON's escapes are valid in TOML, but TOML demands one more.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
