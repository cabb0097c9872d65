"""Which modules of a project a program imports, told from their text."""

from __future__ import annotations

import pytest

from dvc_wandb.project.undeclared.commands import programs
from dvc_wandb.project.undeclared.imported_modules import imported_files

# Modules that hold code and import nothing
PLAIN = ("util.py", "src/util.py", "src/pkg/one.py", "src/pkg/two.py", "src/pkg/deep/three.py", "free/four.py")


def imported(text: str, command: str = "python src/main.py", **more: str) -> set[str]:
    """What `command` imports beside src/main.py, which has this text; `more` are texts of src/pkg's modules."""
    texts = {"src/main.py": text, "src/pkg/__init__.py": '"""A package."""', "src/pkg/deep/__init__.py": ""}
    texts |= {f"src/pkg/{name}.py": text for name, text in more.items()}
    files = {**dict.fromkeys(PLAIN, "value = 1"), **texts}
    read = {name: text.encode() for name, text in files.items()}.get
    (program,) = programs(command, "")
    return set(imported_files(program, read)) - {"src/main.py"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import util", "src/util.py"),
        ("import util as u, json, numpy.random", "src/util.py"),
        ("from util import value", "src/util.py"),
        ("import pkg.one", "src/pkg/one.py"),
        ("from pkg import one, two", "src/pkg/one.py src/pkg/two.py"),
        ("from pkg.deep.three import value", "src/pkg/deep/three.py"),
        ("def late():\n    import util", "src/util.py"),
        ("with open('x') as file:\n    import util", "src/util.py"),
        ("if __name__ == '__main__':\n    import util", "src/util.py"),
        ("from __future__ import annotations\nimport sys", ""),
        ("from . import util", ""),  # fails in a script
        ("import nowhere\nfrom nowhere.at import all", ""),
        ("import src.util", ""),  # the project's root is not on a script's path
        ("text = 'import util'", ""),
        ("import util\nthis is no Python", ""),
    ],
)
def test_what_a_script_imports(text: str, expected: str):
    assert imported(text) == set(expected.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import util", "util.py"),
        ("import src.util", "src/util.py"),
        ("from . import util", "src/util.py"),
        ("from .pkg import one", "src/pkg/one.py"),
        ("from .pkg.one import value", "src/pkg/one.py"),
        ("from .. import util", ""),  # beyond the top
        ("from free import four", "free/four.py"),  # a folder without __init__.py
        ("import free.four", "free/four.py"),
    ],
)
def test_what_a_module_that_is_run_imports(text: str, expected: str):
    assert imported(text, "python -m src.main") == set(expected.split())


def test_imports_of_imports_at_any_depth():
    """A circle too, and code in a package's own file."""
    found = imported("import pkg.one", one="from . import two", two="from .deep import three\nfrom pkg import one")
    assert found == {"src/pkg/one.py", "src/pkg/two.py", "src/pkg/deep/three.py"}
    assert imported("import pkg.one", __init__="VALUE = 1") == {"src/pkg/__init__.py", "src/pkg/one.py"}
    assert imported("from pkg import one", __init__="one = 1") == {"src/pkg/__init__.py"}
    assert imported("import pkg.one", __init__="__version__ = '1'\nfrom __future__ import annotations") == {
        "src/pkg/one.py"
    }


def test_a_package_that_is_run():
    assert imported("", "python -m src.pkg", __main__="from . import one") == {"src/pkg/__main__.py", "src/pkg/one.py"}
    assert imported("", "python src/pkg", __main__="import two") == {"src/pkg/__main__.py", "src/pkg/two.py"}


def test_an_import_for_type_checkers_or_for_another_program_is_none():
    assert imported("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import util") == set()
    assert imported("import typing\nif typing.TYPE_CHECKING:\n    import util\nelse:\n    import pkg.one") == {
        "src/pkg/one.py"
    }
    assert imported("if not TYPE_CHECKING:\n    import util\nelse:\n    import pkg.one") == {"src/util.py"}
    assert imported("import pkg.one", one="if __name__ == '__main__':\n    import util") == {"src/pkg/one.py"}


def test_of_an_import_and_its_fallback_the_one_that_is_run_counts():
    def either(tried: str, fallback: str) -> set[str]:
        return imported(f"try:\n    {tried}\nexcept ImportError:\n    {fallback}")

    assert either("import util", "import pkg.one") == {"src/util.py"}
    assert either("import json", "import util") == set()
    assert either("import nowhere", "import util") == {"src/util.py"}
    assert either("from . import util", "import util") == {"src/util.py"}


def test_an_installed_package_is_not_taken_for_a_folder_of_the_same_name():
    """A folder without __init__.py comes last in Python's search; a module comes first."""
    read = {"main.py": b"import numpy.random\nimport email.message", "numpy/random.py": b"x = 1"}
    (program,) = programs("python main.py", "")
    assert imported_files(program, read.get) == ["main.py"]
    assert imported_files(program, {**read, "numpy/__init__.py": b"x = 1"}.get) == [
        "main.py",
        "numpy/__init__.py",
        "numpy/random.py",
    ]
