"""The package: built from the tree and from its own source archive, installed, complete, and as an index shows it."""

import email.message
import email.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("model/cbtmodel", "impl/cbtimpl", "wire/cbtwire", "conformance/cbtcheck", "proofs/cbtproofs")
UNREACHABLE = ("Failed to establish a new connection", "Connection refused", "Temporary failure in name resolution",
               "Read timed out", "Network is unreachable", "from versions: none", "ProxyError")  # fmt: skip


def ran(*command: object, cwd: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """What came of a command that sees nothing of this checkout but what is named."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more
    return subprocess.run(
        [str(each) for each in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def tree() -> list[str]:
    """The files of the project: those that git knows, and new ones that it does not ignore."""
    listed = ran("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [each for each in listed.stdout.splitlines() if (ROOT / each).is_file()]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, from a copy of the tree, so that the build backend finds what a clone has."""
    place = tmp_path_factory.mktemp("sdist")
    for each in tree():
        (place / "tree" / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / each, place / "tree" / each)
    built = ran(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", place, cwd=place / "tree")
    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = place.glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(archive: Path) -> Path:
    """The wheel, built from the source archive and nothing else."""
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent / "unpacked", filter="data")
    (source,) = (archive.parent / "unpacked").iterdir()
    built = ran(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", archive.parent, cwd=source)
    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = archive.parent.glob("*.whl")
    return made


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (each for each in opened.namelist() if each.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(opened.read(name).decode())


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        inside = set(opened.namelist())
    wanted = {each.split("/", 1)[1] for each in tree() if each.startswith(PACKAGES)}
    wanted |= {each.replace("conformance/vectors", "cbtcheck/published_vectors")
               for each in tree() if each.startswith("conformance/vectors/")}  # fmt: skip
    assert any(each.endswith("report.html") for each in wanted)
    assert any(each.startswith("cbtcheck/workflows/") for each in wanted)
    assert not wanted - inside


def test_the_source_archive_has_what_is_needed_to_check_it(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        inside = {each.name.split("/", 1)[1] for each in opened.getmembers() if "/" in each.name}
    assert {"run", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml"} <= inside
    assert {each for each in tree() if each.startswith(("tests/", "docs/", "requirements"))} <= inside


def test_the_metadata_are_those_that_an_index_shows(wheel: Path) -> None:
    told = metadata(wheel)
    assert (told["Name"], told["Version"], told["Requires-Python"]) == ("cbtspec", PROJECT["version"], ">=3.11")
    assert told["License-Expression"] == "Apache-2.0"
    assert told["License-File"] == "LICENSE"
    assert told["Description-Content-Type"] == "text/markdown"
    assert "Development Status :: 4 - Beta" in told.get_all("Classifier", [])
    assert "dirty bitmap" in told["Keywords"]
    assert {each.split(",")[0] for each in told.get_all("Project-URL", [])} >= {"Source", "Changelog", "Issues"}
    assert told.get_payload().startswith("# cbtspec")
    needed = [each for each in told.get_all("Requires-Dist", []) if re.match("z3|crosshair", each)]
    assert needed
    assert all("extra ==" in each for each in needed)


def test_the_changelog_begins_with_this_version_which_nothing_else_says() -> None:
    assert re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == PROJECT["version"]
    quoted = re.compile(rf"""["']{re.escape(PROJECT["version"])}["']""")
    assert not [each for each in tree() if each.startswith(PACKAGES) and each.endswith(".py")
                and quoted.search((ROOT / each).read_text())]  # fmt: skip


def test_installed_it_runs_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """Offline: the environment of the tests lends its dependencies, but not its cbtspec."""
    assert ran(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path).returncode == 0
    python = tmp_path / "venv/bin/python"
    install = ("install", "--quiet", "--no-index", "--no-deps")
    done = ran(sys.executable, "-m", "pip", "--python", python, *install, wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    it_runs(tmp_path / "venv/bin/cbtspec", site, tmp_path)


def test_installed_from_an_index_it_has_all_that_it_needs(wheel: Path, tmp_path: Path) -> None:
    assert ran(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path).returncode == 0
    python = tmp_path / "venv/bin/python"
    pinned = ("--constraint", ROOT / "requirements.lock")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--python", python)
    done = ran(*pip, "install", "--quiet", *pinned, wheel, cwd=tmp_path)
    if done.returncode and any(each in done.stderr for each in UNREACHABLE):
        pytest.skip(f"the package index is unreachable: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    assert not (site / "z3").exists()
    it_runs(tmp_path / "venv/bin/cbtspec", site, tmp_path)
    proved = ran(tmp_path / "venv/bin/cbtspec", "prove", cwd=tmp_path)
    assert (proved.returncode, proved.stdout, proved.stderr.count("\n")) == (64, "", 1)


def it_runs(cbtspec: Path, site: Path, tmp_path: Path) -> None:
    """A short check, with all that it reads from the package, and nothing of the checkout."""
    folder = tmp_path / "empty"
    folder.mkdir()
    assert ran(cbtspec, "--version", cwd=folder).stdout == f"cbtspec {PROJECT['version']}\n"
    where = ran(cbtspec.parent / "python", "-c", "import cbtcheck, cbtmodel; print(cbtcheck.__file__)", cwd=folder)
    assert Path(where.stdout.strip()).is_relative_to(site)
    options = ("--profile", "quick", "--examples", "5", "--only", "write", "--json", "r.json", "--html", "r.html")
    checked = ran(cbtspec, "check", *options, cwd=folder)
    assert checked.returncode == 6, checked.stdout + checked.stderr
    report = json.loads((folder / "r.json").read_text())
    assert report["agrees"]
    assert "workflows 8" in checked.stdout
    assert "<html" in (folder / "r.html").read_text()
    assert sorted(each.name for each in folder.iterdir()) == ["r.html", "r.json"]
    assert ran(cbtspec, "oracle", "--schema", "input", cwd=folder).stdout.startswith("{")
    assert "what the specification gives" in ran(cbtspec, "vectors", "--verify", cwd=folder).stdout
