"""Which code decides an artefact: a digest of its syntax tells what other code made. Imports no torch.

It is taken over the modules that the artefact's resolved config names and, from them on, everything that they
import inside this package, in functions too. Modules are read and never imported. Of each module the syntax
tree counts, without docstrings: comments and formatting change nothing.
"""

import ast
import hashlib
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import robustfront
from robustfront.config.evaluations import Evaluation
from robustfront.config.registry import Kind, beside
from robustfront.config.schema import Run
from robustfront.methods.base import Methods

PACKAGE = "robustfront"

_BESIDE = frozenset(
    f"{PACKAGE}{module}"
    for module in (
        "",  # the version, which every record has
        ".artefacts",
        ".checksums",
        ".config.validation",
        ".data.rawfiles",
        ".data.readers",
        ".data.sources",
        ".errors",
        ".jobs",
        ".locks",
        ".planning",
        ".revision",
        ".training.provenance",
    )
)
"""What decides no number, with all below: it finds, keeps, checks or describes them. That images are read
aright is not its matter either: a record has the checksums of those an artefact was made from."""


def training_code(run: Run, methods: Methods) -> str:
    """The digest of the code that decides the weights of a run; of what is a user's, his own files too."""
    training = run.training
    named = (found for kind in (run.model, training.optimizer, training.schedule) for found in _code_of(kind))
    return code_digest(f"{PACKAGE}.training.session", _home(methods[run.method].method), *named)


def evaluation_code(evaluation: Evaluation, model: Kind) -> str:
    """The digest of the code that decides the outcome of one attack on a network."""
    attack = evaluation.attack
    entries = (*_code_of(attack), *_code_of(model))
    return code_digest(f"{PACKAGE}.evaluation.session", *entries, without=attack.unused)


def analysis_code(analysis: Kind, model: Kind) -> str:
    """The digest of the code that decides the arrays of an analysis of a network."""
    return code_digest(f"{PACKAGE}.analysis.session", *_code_of(analysis), *_code_of(model))


def code_digest(*entries: str | Path, without: frozenset[str] = frozenset()) -> str:
    """16 hex digits of the code of `entries`, our modules by name or files by path, and of what they import.

    `without`: modules that do not count, nor what they alone import.
    """
    found = modules(*entries, without=without)
    lines = (f"{_name(module)} {source.digest}" for module, source in found.items())
    text = "\n".join(sorted(lines))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Source:
    """A module as read: the digest of its syntax, and the names of our modules that it imports.

    `beside`: of a user's file, the files in its folder that it imports.
    """

    def __init__(self, path: Path, root: Path) -> None:
        tree = ast.parse(path.read_bytes(), str(path))
        text: list[str] = []
        _write(tree, text)
        self.digest = hashlib.sha256("".join(text).encode()).hexdigest()
        self.imports = frozenset(
            home for module, name in _imported(tree) for home in _homes(module, name, root)
        )
        self.beside = () if root in path.parents else tuple(_beside(tree, path))


@cache  # the code of a process does not change while it runs
def modules(*entries: str | Path, without: frozenset[str] = frozenset()) -> Mapping[str | Path, Source]:
    """The entries and all that they import inside the package, or of files of others beside them."""
    root = Path(robustfront.__file__).parent
    found: dict[str | Path, Source] = {}
    pending = list(entries)
    while pending:
        entry = pending.pop()
        if entry not in found:
            found[entry] = _source(entry if isinstance(entry, Path) else _file(entry, root), root)
            pending += [module for module in found[entry].imports if module not in without]
            pending += found[entry].beside
    return found


_source = cache(Source)


def _name(module: str | Path) -> str:
    """Of others' files that in their folder: where it lies decides nothing."""
    return module.name if isinstance(module, Path) else module


def _code_of(kind: Kind) -> Iterator[str | Path]:
    """Where the code of a registered class stands, and of what it names."""
    said_by = type(kind)
    yield _home(said_by)
    for module in (place.rpartition(":")[0] for place in kind.named):
        if module.startswith("."):
            yield beside(module, said_by)
        elif module.startswith(f"{PACKAGE}."):
            yield module
        elif module and (spec := importlib.util.find_spec(module)) and spec.origin:
            yield Path(spec.origin)


def _home(registered: type) -> str | Path:
    """Its module, if that is ours; else the file."""
    name = registered.__module__
    return name if name.startswith(f"{PACKAGE}.") else Path(inspect.getfile(registered))


# ------------------------------------------------------------------------------------------------ imports
def _imported(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    """(module, name or None) of every import of ours below a node, but those for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                for other in child.orelse:
                    yield from _imported(ast.Module([other], []))
            case ast.Import(names=names):
                yield from ((alias.name, None) for alias in names if _is_ours(alias.name))
            case ast.ImportFrom(module=str(module), names=names, level=0) if _is_ours(module):
                yield from ((module, alias.name) for alias in names)
            case _:
                yield from _imported(child)


def _beside(tree: ast.AST, path: Path) -> Iterator[Path]:
    """The files in the same folder that a module imports, by name or relatively."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level <= 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
        for name in names:
            found = path.parent / f"{name.split('.', maxsplit=1)[0]}.py"
            if found.is_file() and found != path:
                yield found


def _is_ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] == PACKAGE


def _homes(module: str, name: str | None, root: Path) -> Iterator[str]:
    """The modules that an import may use, but for those that decide nothing."""
    if name is not None and _file(f"{module}.{name}", root).is_file():
        module, name = f"{module}.{name}", None
    lazy = _lazy_names(_file(module, root))
    if name is not None and name in lazy:
        found = [lazy[name]]
    elif name is None:  # a package as a whole, or a module: any of its names
        found = ["", *lazy.values()]
    else:
        found = [""]
    for submodule in found:
        home = f"{module}.{submodule}".rstrip(".")
        parts = home.split(".")
        if not _BESIDE & {home, *(".".join(parts[:depth]) for depth in range(2, len(parts)))}:
            yield home


@cache
def _lazy_names(path: Path) -> Mapping[str, str]:
    """Name -> submodule, of the table in a package whose `__getattr__` loads its names when they are used."""
    if path.name != "__init__.py":
        return {}
    tree = ast.parse(path.read_bytes())
    if not any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body):
        return {}
    tables: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            tables |= ast.literal_eval(node.value)
    return tables


def _file(module: str, root: Path) -> Path:
    """The file of one of our modules; of a package its `__init__.py`."""
    path = root / Path(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


# ------------------------------------------------------------------------------------------------- syntax
def _write(value: Any, text: list[str]) -> None:
    """Appends a syntax tree as text, without docstrings (of variables too), places and whatever is empty.

    Empty fields are left out because versions of Python differ in which they have. Not a generator: reports
    ask for the code of all of `reporting` whenever they are made.
    """
    match value:
        case ast.Expr(value=ast.Constant(value=str())):
            return
        case ast.AST():
            text.append(f"({type(value).__name__}")
            for name, inner in ast.iter_fields(value):
                if inner is not None and inner != []:
                    text.append(f" {name}=")
                    _write(inner, text)
            text.append(")")
        case list():
            text.append("[")
            for inner in value:
                _write(inner, text)
                text.append(",")
            text.append("]")
        case _:
            text.append(repr(value))
