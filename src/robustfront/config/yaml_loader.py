"""YAML in and out, by the parser DVC uses, so that params.yaml means the same to both.

That parser follows YAML 1.2, PyYAML follows 1.1: there `1e-3` is a text, `no` a boolean, `010` is eight and
`12:30` is 750. Duplicate keys are refused.
"""

import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, SafeRepresenter, YAMLError
from ruamel.yaml.error import ReusedAnchorWarning

from robustfront.config.layers import dotted
from robustfront.config.validation import describe
from robustfront.errors import ConfigError


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; all keys in it are words. ConfigError naming file and line, or key."""
    text = _read(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it: the nearer one counts
            data = _parsed(text)
    except YAMLError as error:
        raise ConfigError(f"{path}{_line(error, text)}: not valid YAML: {_problem(error)}") from None
    except (
        Exception
    ) as error:  # the constructors of !!int, !!bool and dates raise what int(), dict and date raise
        reason = str(error).split("\n")[0]
        raise ConfigError(f"{path}: not valid YAML: {type(error).__name__}: {reason}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold a mapping of keys to values, not {describe(data)}")
    _check_keys(data, str(path))
    return data


def dump_yaml(value: Mapping[str, Any]) -> str:
    """Block style, in the order of `value`; floats look like floats to readers of YAML 1.1 too."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    writer.dump(value, text)
    return text.getvalue()


class _Representer(SafeRepresenter):
    def represent_float(self, value: float) -> Any:
        text = re.sub(r"^(-?[0-9]+)e", r"\1.0e", repr(value))
        return self.represent_scalar("tag:yaml.org,2002:float", text)


_Representer.add_representer(float, _Representer.represent_float)


def _parsed(text: str) -> Any:
    """By libyaml, as every job reads all params, and it is ten times as fast; else by what explains more."""
    try:
        return YAML(typ="safe").load(text)
    except Exception:
        return YAML(typ="safe", pure=True).load(text)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; run the command in the project's root or name the file with --params"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}, line {line}: byte {content[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        ) from None


def _line(error: YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f", line {mark.line + 1}"
    position = getattr(error, "position", None)
    return "" if position is None else f", line {text.count(chr(10), 0, position) + 1}"


def _problem(error: YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    problem = problem.split("\n")[0]
    if "'\\t'" in problem:
        return f"{problem}; indent with spaces"
    return re.sub(
        r'^found duplicate key "(.*?)" with.*', r"key '\1' is given twice", problem, flags=re.DOTALL
    )


def _check_keys(tree: dict[Any, Any], source: str) -> None:
    """ConfigError for a key that is not a word, and for an anchor that contains itself."""
    inside: set[int] = set()
    done: set[int] = set()

    def check(value: Any, path: tuple[str | int, ...]) -> None:
        where = dotted("", *path)
        if id(value) in inside:
            raise ConfigError(f"{source}: {where}: the alias contains itself")
        if id(value) in done or not isinstance(value, (dict, list)):
            return
        inside.add(id(value))
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not isinstance(key, str):
                subject = f"{where}: key {key!r}" if where else f"key {key!r}"
                raise ConfigError(f"{source}: {subject} must be a word; put it in quotes")
            check(child, (*path, key))
        inside.remove(id(value))
        done.add(id(value))

    check(tree, ())
