"""The modules of the project that a program imports, at any depth: read from their text, nothing is run.

An import counts wherever it stands, also in a function, but where only a type checker reads it, where it is run for
another program (`if __name__ == "__main__"`), or where another one stands in for it (`except ImportError`).
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dvc_wandb.project.undeclared.commands import Program

Read = Callable[[str], bytes | None]  # the bytes of a file of the project; None where there is none

# Part of every Python before it looks at the project's folders
AT_START = {*("abc", "codecs", "encodings", "genericpath", "io", "os", "posixpath", "site", "stat")}
AT_START |= set(sys.builtin_module_names)
# The bridge and its registry are packages that a stage uses, also where their own source is the project
OURS = ("dvc_wandb", "wandb_registry")


@dataclass(frozen=True)
class Import:
    """`import module`, or `from module import names`; `level` is the number of dots before it."""

    module: str
    names: tuple[str, ...] = ()
    level: int = 0


def imported_files(program: Program, read: Read) -> list[str]:
    """The files that `program` runs and imports, with the first one; those without code are left out."""
    return _Walk(program.search, read).files(program)


def imported_names(program: Program, read: Read) -> set[str]:
    """The top-level names of all that `program` imports, in the project's own files at any depth."""
    walk = _Walk(program.search, read)
    walk.files(program)
    return walk.names


def is_ours(file: str) -> bool:
    """Whether a file is the bridge's own, in the project that it is written in."""
    return file.partition("/")[0] in OURS


def has_code(text: bytes) -> bool:
    """Whether running a module does anything, beyond its docstring and names such as `__version__`."""
    tree = _parsed(text)
    return tree is None or not all(map(_is_empty, tree.body))


class _Walk:
    """From one program to all that it imports."""

    def __init__(self, search: tuple[str, ...], read: Read) -> None:
        self._search, self._read = search, read
        self._trees: dict[str, ast.Module | None] = {}  # by file
        self._found: list[str] = []
        self.names: set[str] = set()

    def files(self, program: Program) -> list[str]:
        if program.code:
            self._follow(ast.Module([], []) if (tree := _parsed(program.code.encode())) is None else tree, "", True)
        elif program.module:
            self._run_module(program.module)
        else:
            self._run_script(program.script)
        return [file for file in self._found if has_code(self._read(file) or b"")]

    def _run_script(self, file: str) -> None:
        if self._read(file) is None:
            self._search = (file, *self._search[1:])  # a folder
            file = f"{file}/__main__.py".lstrip("/")
        if self._read(file) is not None:
            self._visit(file, package="", main=True)

    def _run_module(self, name: str) -> None:
        reached = self._located(name)
        if reached and reached[-1][0].endswith("__init__.py"):
            reached += self._located(f"{name}.__main__")[-1:]
        for at, (file, package) in enumerate(reached, start=1):
            self._visit(file, package, main=at == len(reached))

    def _visit(self, file: str, package: str, main: bool = False) -> None:
        if not file or file in self._found or is_ours(file):
            return
        self._found.append(file)
        if tree := self._tree(file):
            self._follow(tree, package, main)

    def _follow(self, tree: ast.Module, package: str, main: bool) -> None:
        for one in self._imports(tree.body, package, main):
            self.names.add(_absolute(one, package).partition(".")[0])
            for file, of in self._reached(one, package):
                self._visit(file, of)

    def _tree(self, file: str) -> ast.Module | None:
        if file not in self._trees:
            self._trees[file] = _parsed(self._read(file) or b"")
        return self._trees[file]

    # ---- names to files ----

    def _reached(self, one: Import, package: str) -> list[tuple[str, str]]:
        """The files that an import runs, each with its package; those that are run already too."""
        name = _absolute(one, package)
        if not name:
            return []
        reached = self._located(name)
        file = reached[-1][0] if reached else ""
        if reached and (not file or file.endswith("__init__.py")):  # a package: names may be modules in it
            tree = self._tree(file) if file else None
            bound = set(_bound(tree.body)) if tree else set()
            for part in one.names:
                if part not in bound:
                    reached += self._located(f"{name}.{part}")
        return [(path, of) for path, of in reached if path]

    def _located(self, name: str) -> list[tuple[str, str]]:
        """The file and the package of each part of a dotted name; "" for a folder without `__init__.py`.

        Nothing where the project has no such module.
        """
        places, found = self._search, []
        parts = name.split(".")
        if parts[0] in AT_START:
            return []
        for at, part in enumerate(parts):
            inner = [f"{place}/{part}".lstrip("/") for place in places]
            choices = (choice for path in inner for choice in (f"{path}/__init__.py", f"{path}.py"))
            file = next((choice for choice in choices if self._read(choice) is not None), "")
            if not file and (at == 0 and _is_installed(part)):
                return []
            is_package = not file or file.endswith("__init__.py")
            found.append((file, ".".join(parts[: at + 1 if is_package else at])))
            places = (file.removesuffix("/__init__.py"),) if file else tuple(inner)
            if not is_package:
                break
        return found if len(found) == len(parts) else []

    # ---- the imports of a text ----

    def _imports(self, body: Iterable[ast.AST], package: str, main: bool) -> Iterator[Import]:
        for node in body:
            if isinstance(node, ast.Import):
                yield from (Import(alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield Import(node.module or "", tuple(alias.name for alias in node.names), node.level)
            elif isinstance(node, ast.If):
                yield from self._imports(_branches(node, main), package, main)
            elif isinstance(node, ast.Try) and any(map(_catches_import_error, node.handlers)):
                tried = list(self._imports(node.body, package, main))
                yield from tried
                handlers = node.handlers if any(self._fails(one, package) for one in tried) else []
                yield from self._imports([*handlers, *node.orelse, *node.finalbody], package, main)
            elif not isinstance(node, ast.expr):
                yield from self._imports(ast.iter_child_nodes(node), package, main)

    def _fails(self, one: Import, package: str) -> bool:
        """Whether an import is of what is neither in the project nor installed beside us."""
        if self._reached(one, package):
            return False
        return bool(one.level) or not _is_installed(one.module.partition(".")[0])


def _parsed(text: bytes) -> ast.Module | None:
    """None for what this Python can't read, such as another one's syntax."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _absolute(one: Import, package: str) -> str:
    """The dotted name that an import in `package` asks for; "" where its dots lead to none."""
    if not one.level:
        return one.module
    parents = package.split(".") if package else []
    if one.level > len(parents):
        return ""
    return ".".join([*parents[: len(parents) - one.level + 1], *filter(None, [one.module])])


def _is_installed(name: str) -> bool:
    """Whether a module or package of this name is in the environment, as a folder without `__init__.py` isn't."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def _branches(node: ast.If, main: bool) -> list[ast.stmt]:
    """What of an `if` may run; both branches where the text doesn't tell."""
    test = ast.unparse(node.test).replace("typing.", "")
    if test == "TYPE_CHECKING" or (not main and test in ("__name__ == '__main__'", "'__main__' == __name__")):
        return node.orelse
    return node.body if test == "not TYPE_CHECKING" else [*node.body, *node.orelse]


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(
        isinstance(node, ast.Name) and node.id in ("ImportError", "ModuleNotFoundError", "Exception")
        for node in ast.walk(handler.type)
    )


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that the top of a package gives a value to."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_empty(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return all(isinstance(one, ast.Name) and one.id.startswith("__") for one in node.targets)
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
