"""What is public: the same names for a person, for `dir` and for a type checker."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dockless


@pytest.mark.parametrize("name", dockless.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert getattr(dockless, name) is not None
    assert name in dir(dockless)


def test_a_type_checker_sees_the_same_names() -> None:
    assert dockless.__file__ is not None
    tree = ast.parse(Path(dockless.__file__).read_text())
    seen = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen - {"import_module"} == set(dockless.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        dockless.nonsense  # noqa: B018


def test_importing_costs_almost_nothing() -> None:
    code = "import sys; before = set(sys.modules); import dockless; print(*sorted(set(sys.modules) - before))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert said.stdout.split() == ["dockless"]
