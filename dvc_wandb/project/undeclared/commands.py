"""The Python programs that a stage's command runs, read as a shell would. What only a shell knows is left out."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

PYTHON = re.compile(r"(python|pypy)[\d.]*(\.exe)?")
ASSIGNMENT = re.compile(r"(\w+)=(.*)", flags=re.DOTALL)
# They run the program that one of their later words names
WRAPPERS = {
    *("env", "time", "nice", "nohup", "exec", "command", "stdbuf", "timeout", "xvfb-run", "srun", "mpirun"),
    *("torchrun", "accelerate", "coverage"),
    *("poetry", "pipenv", "uv", "pdm", "rye", "hatch", "pixi", "conda", "mamba", "micromamba"),
    *("if", "then", "else", "elif", "do", "while", "until", "!", "{"),
}


@dataclass(frozen=True)
class Program:
    """A run of Python: the file `script`, the module `module` or the text `code`, one of the three.

    `search` is where it looks for the project's modules, in this order: folders of the project, "" for its root.
    """

    search: tuple[str, ...]
    script: str = ""
    module: str = ""
    code: str = ""


def programs(command: str | list[str], folder: str) -> Iterator[Program]:
    """The programs that `command` runs in `folder` of the project; each line of a text has a shell of its own."""
    folder = "" if folder == "." else folder
    for line in command.splitlines() if isinstance(command, str) else command:
        for words, here in _simple_commands(line, folder):
            if program := _program(words, here):
                yield program


def inside(folder: str, path: str) -> str | None:
    """`path` as a program in `folder` means it, from the project's root; None where it leads out or isn't literal."""
    if posixpath.isabs(path) or path.startswith("~") or "$" in path or "`" in path:
        return None
    joined = posixpath.normpath(posixpath.join(folder, path))
    return None if joined.startswith("..") else "" if joined == "." else joined


def _simple_commands(line: str, folder: str) -> Iterator[tuple[list[str], str]]:
    """The words of each command of `line`, and the folder that it runs in; none after a `cd` to where isn't said."""
    here: str | None = folder
    words: list[str] = []
    outer: list[str | None] = []
    tokens = [*_tokens(line), ";"]
    for before, token in zip(["", *tokens], tokens, strict=False):
        if _is_operator(before) and _is_redirection(before):
            continue
        if not _is_operator(token):
            words.append(token)
        elif not _is_redirection(token):
            if words[:1] == ["cd"]:
                here = inside(here, words[1]) if here is not None and len(words) == 2 else None
            elif words and here is not None:
                yield words, here
            words = []
            for sign in token:
                if sign == "(":
                    outer.append(here)
                elif sign == ")" and outer:
                    here = outer.pop()


def _tokens(line: str) -> Iterator[str]:
    """The words and operators of `line`, up to a comment or to what can't be read."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        for token in lexer:
            if token.startswith("#"):
                return
            yield token
    except ValueError:  # an open quotation
        return


def _is_operator(token: str) -> bool:
    return bool(token) and set(token) <= set("();<>|&\n")


def _is_redirection(token: str) -> bool:
    return "<" in token or ">" in token


def _program(words: list[str], folder: str) -> Program | None:
    """What the command of these words runs; None where that is no Python program of the project."""
    path: tuple[str, ...] = ()
    wrapped = False
    for at, word in enumerate(words):
        name = posixpath.basename(word)
        if assigned := ASSIGNMENT.fullmatch(word):
            if assigned[1] == "PYTHONPATH":
                found = (inside(folder, entry) for entry in assigned[2].split(":") if entry)
                path = tuple(entry for entry in found if entry is not None)
        elif PYTHON.fullmatch(name):
            return _run_by_python(words[at + 1 :], folder, path)
        elif name.endswith(".py"):
            return _script(word, folder, path, isolated=False)
        elif wrapped or name in WRAPPERS:
            wrapped = True
        else:
            return None
    return None


def _run_by_python(arguments: list[str], folder: str, path: tuple[str, ...]) -> Program | None:
    """What the interpreter makes of its arguments."""
    isolated = False  # neither the script's folder nor the working one is searched
    rest = iter(arguments)
    for word in rest:
        if word == "-":  # what comes in
            return None
        if not word.startswith("-"):
            return _script(word, folder, path, isolated)
        for at, option in enumerate(word[1:], start=2):
            isolated |= option in "PI"
            if option in "cmWX":
                value = word[at:] or next(rest, "")
                search = path if isolated else (folder, *path)
                if option == "m":
                    return Program(search, module=value)
                if option == "c":
                    return Program(search, code=value)
                break
            if option == "-":
                break
    return None


def _script(word: str, folder: str, path: tuple[str, ...], isolated: bool) -> Program | None:
    file = inside(folder, word)
    if file is None:
        return None
    return Program(path if isolated else (posixpath.dirname(file), *path), script=file)
