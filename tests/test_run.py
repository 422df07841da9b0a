"""`./run`: what it installs for which command, and that it says so in one line. Nothing is installed here."""

import contextlib
import importlib.machinery
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-proofs.lock", "requirements-dev.lock")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script as a module, on a checkout without an environment; what it would execute is in `executed`."""
    loader = importlib.machinery.SourceFileLoader("run_script", str(ROOT / "run"))
    spec = importlib.util.spec_from_loader("run_script", loader)
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(made)
    for name in (*LOCKS, "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    venv = tmp_path / ".venv"
    executed: list[tuple[str, ...]] = []

    def quietly(*command: str) -> None:
        executed.append(command)
        if command[1:3] == ("-m", "venv"):
            for each in venv.glob(".*.installed"):
                each.unlink()
            (venv / "bin").mkdir(parents=True, exist_ok=True)
            (venv / "bin/python").touch()

    for name, value in (("ROOT", tmp_path), ("VENV", venv), ("PYTHON", venv / "bin/python")):
        monkeypatch.setattr(made, name, value)
    monkeypatch.setattr(made, "quietly", quietly)
    monkeypatch.setattr(made, "be_alone", lambda directory: None)  # this process keeps what it has locked before
    monkeypatch.setattr(made, "become", lambda *words: sys.exit(0))
    monkeypatch.setattr(made, "tests", lambda arguments: 0)
    made.executed = executed  # type: ignore[attr-defined]
    return made


def called(run: ModuleType, *words: str) -> None:
    with contextlib.suppress(SystemExit):
        run.main(list(words))


def installed(run: ModuleType) -> list[str]:
    """The locks that were installed since this was asked last, in order."""
    words = [word for command in run.executed for word in command]
    run.executed.clear()
    return [Path(word).name for word in words if word.endswith(".lock")]


@pytest.mark.parametrize(
    ("words", "locks"),
    [
        (["check"], LOCKS[:1]),
        (["cbtspec", "replay", "prove"], LOCKS[:1]),
        (["cbtspec"], LOCKS[:1]),
        (["cbtspec", "prove"], LOCKS[:2]),
        (["cbtspec", "contracts", "--mistakes"], LOCKS[:2]),
        (["tests"], LOCKS),
    ],
    ids=" ".join,
)
def test_each_command_installs_what_it_needs_and_says_so_in_one_line(
    run: ModuleType, words: list[str], locks: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    called(run, *words)
    assert installed(run) == list(locks)
    (line,) = capsys.readouterr().err.splitlines()
    many = sum(len(run.pins(each)) for each in locks)
    assert line.startswith(f"run: installing {many} pinned packages into ")
    called(run, *words)
    assert installed(run) == []
    assert capsys.readouterr().err == ""


def test_what_is_lacking_is_added_and_what_is_there_stays(run: ModuleType) -> None:
    called(run, "check")
    installed(run)
    called(run, "cbtspec", "prove")
    assert not any("venv" in command for command in run.executed)
    assert installed(run) == [LOCKS[1]]
    called(run, "tests")
    assert installed(run) == [LOCKS[2]]


@pytest.mark.parametrize("changed", LOCKS)
def test_pins_that_change_make_it_anew(run: ModuleType, changed: str) -> None:
    called(run, "tests")
    installed(run)
    (run.ROOT / changed).write_text("click==8.0\n")
    called(run, "tests")
    assert any("venv" in command for command in run.executed)
    assert installed(run) == list(LOCKS)


def test_an_installation_that_failed_is_done_again(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    works = run.quietly

    def fails(*command: str) -> None:
        if command[-1].endswith("requirements-proofs.lock"):
            raise SystemExit(64)
        works(*command)

    monkeypatch.setattr(run, "quietly", fails)
    called(run, "cbtspec", "prove")
    assert not run.up_to_date(LOCKS[1])
    monkeypatch.setattr(run, "quietly", works)
    installed(run)
    called(run, "cbtspec", "prove")
    assert installed(run) == [LOCKS[1]]


def test_no_package_is_pinned_twice_and_the_proofs_are_not_in_what_check_needs(run: ModuleType) -> None:
    names = [re.split("==", line)[0].lower().replace("_", "-") for lock in LOCKS for line in run.pins(lock)]
    assert sorted(set(names)) == sorted(names)
    of_check = " ".join(run.pins(LOCKS[0]))
    assert "z3" not in of_check
    assert "crosshair" not in of_check
