"""The rules of the layout, as far as a machine can see them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("model", "impl", "wire", "conformance", "proofs")
MODULES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
LONGEST = 400
NAMED_FOR_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    for each in ast.walk(ast.parse(path.read_text())):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, f"{named(path)}: a relative import"
            yield str(each.module)


def test_there_are_modules_to_look_at() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PARTS)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", [each for each in MODULES if not each.stem.startswith("_")], ids=named)
def test_a_public_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_no_module_is_a_place_for_whatever() -> None:
    assert not [named(path) for path in MODULES if path.stem in NAMED_FOR_NOTHING]


def test_the_specification_imports_only_itself_and_the_standard_library() -> None:
    allowed = sys.stdlib_module_names | {"cbtmodel"}
    foreign = {
        f"{named(path)}: {name}"
        for path in (ROOT / "model").rglob("*.py")
        for name in imports(path)
        if name.partition(".")[0] not in allowed
    }
    assert not foreign


def test_the_import_contracts_are_kept() -> None:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as main; main()",
        "--no-cache",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
