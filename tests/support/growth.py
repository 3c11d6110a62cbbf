"""A walk over code, for what opens, spawns or buffers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

CALLS = {
    "file": {"mkdir", "makedirs", "scandir", "mkstemp", "NamedTemporaryFile", "TemporaryDirectory"},
    "task": {"create_task", "ensure_future", "TaskGroup", "run_coroutine_threadsafe"},
    "thread": {"Thread", "ThreadPoolExecutor", "to_thread", "run_in_executor"},
    "process": {"Popen", "ProcessPoolExecutor", "create_subprocess_exec", "fork"},
    "socket": {
        "serve",
        "listen",
        "connect",
        "start_server",
        "open_connection",
        "create_connection",
    },
    "timer": {"call_later", "call_at"},
}
"""What takes something of the machine, by what is called."""
BUFFERS = {
    *("dict", "list", "set", "bytearray", "deque", "OrderedDict", "defaultdict", "Counter"),
    *("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "BytesIO", "WeakValueDictionary"),
}
MODES = re.compile(r"[rwxa]\+?b?\+?")


def found(tree: ast.Module) -> Iterator[str]:
    """Yield what a module takes: kinds of calls, and names of what grows in it.

    Names are ``self.NAME`` of attributes, ``NAME`` of what the module itself holds, and ``@NAME``
    of functions whose answers are all remembered.
    """
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield from [name] if _grows(value) else []
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                yield from [name] if _grows(value) else []
    for node in ast.walk(tree):
        match node:
            case ast.Call():
                yield from _taken(node)
            case (
                ast.Assign(targets=[ast.Attribute(attr=name)], value=value)
                | ast.AnnAssign(target=ast.Attribute(attr=name), value=value)
            ):
                yield from [f"self.{name}"] if _grows(value) else []
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(keywords=keywords)):
                made = [key.value for key in keywords if key.arg == "default_factory"]
                yield from [f"self.{name}"] if any(map(_makes_what_grows, made)) else []
            case ast.FunctionDef(name=name, decorator_list=decorators) if node.args.args:
                every = [
                    one for one in decorators if isinstance(one, ast.Name) and one.id == "cache"
                ]
                yield from [f"@{name}"] if every else []


def _taken(node: ast.Call) -> Iterator[str]:
    """Yield the kinds of things that a call takes."""
    owner, name = "", ""
    match node.func:
        case ast.Name(id=name):
            pass
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            pass
        case ast.Attribute(attr=name):
            pass
    bare = isinstance(node.func, ast.Name)
    if name == "open" and (bare or owner in ("os", "Image") or _mode(node)):
        yield "file"
    if owner == name == "socket":
        yield "socket"
    if owner == "subprocess":
        yield "process"
    yield from (kind for kind, names in CALLS.items() if name in names)


def _mode(node: ast.Call) -> bool:
    """Tell whether the first argument is how to open a file."""
    match node.args:
        case [ast.Constant(value=str(text)), *_]:
            return MODES.fullmatch(text) is not None
    return False


def _grows(value: ast.expr | None) -> bool:
    """Tell whether something is an empty container without a bound."""
    match value:
        case ast.Dict(keys=[]) | ast.List(elts=[]):
            return True
        case ast.Call(func=function, args=[], keywords=keywords):
            bounded = any(key.arg in ("maxlen", "maxsize") for key in keywords)
            return _makes_what_grows(function) and not bounded
        case ast.Call(func=ast.Name(id="defaultdict")):
            return True
    return False


def _makes_what_grows(function: ast.expr) -> bool:
    match function:
        case ast.Name(id=name):
            return name in BUFFERS
        case ast.Attribute(
            value=ast.Name(id="asyncio" | "collections" | "queue" | "io"), attr=name
        ):
            return name in BUFFERS
        case ast.Subscript(value=inner):
            return _makes_what_grows(inner)
        case ast.Lambda(body=body):
            return _grows(body)
    return False
