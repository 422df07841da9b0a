"""What a run finds is not lost: files are whole or not there, never over another's, and what fails is said."""

import errno
import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cbtcheck.host import saving
from cbtcheck.host.saving import write_new, write_whole
from cbtcheck.run.failed_before import LIST
from cbtcheck.run.gather import Gathering
from cbtcheck.run.part import DRAWN, Part
from cbtcheck.run.report import Failure, Report
from cbtcheck.scenario.scenario import Scenario, load, save
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtmodel.commands import Write

SCENARIO = Scenario({"disk0": 65536}, (Write("disk0", 0, 512),))
MISTAKE = ["check", "-x", "--mistake", "zeroes-not-marked", "--only", "write", "--examples", "1"]


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failure(verdict: Verdict = Verdict.UNSAFE, scenario: Scenario = SCENARIO) -> Failure:
    return Failure("drawn", scenario, [], [Finding(verdict, "DELIVERED", "somewhere", "this", "that")])


def gathered(reports: Path, *failures: Failure) -> Report:
    gathering = Gathering(Report("0", "reference", "it 1", "quick", 1), reports)
    for number, each in enumerate(failures):
        part = Part(DRAWN, number, 2)
        part.failures.append(((number,), each))
        gathering.add(part)
    return gathering.report


def cbtspec(*words: object, limit: int | None = None, **more: object) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own, that may write files of at most `limit` bytes."""
    limited = None if limit is None else (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    return subprocess.run(
        [sys.executable, "-m", "cbtcheck", *map(str, words)],
        capture_output=True, text=True, preexec_fn=limited, check=False, **more,  # type: ignore[call-overload]
    )  # fmt: skip


# Files


def test_a_file_takes_the_place_of_another_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_new_file_has_the_permissions_that_new_files_have(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("what", ["os.write", "os.fsync", "os.replace"])
def test_what_cannot_be_written_whole_leaves_what_was_there(tmp_path: Path, monkeypatch, what: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(f"cbtcheck.host.saving.{what}", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_device_is_written_to_and_stays_one() -> None:
    write_whole(Path("/dev/null"), b"new")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="No space left"):
        write_whole(Path("/dev/full"), b"new")


def test_a_loop_of_links_and_a_directory_are_errors(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "loop", tmp_path):
        with pytest.raises(OSError, match=r"symbolic links|Is a directory"):
            write_whole(path, b"new")


# Names


@pytest.mark.parametrize("in_the_way", ["file", "directory", "loop", "broken link"])
def test_whatever_has_a_name_keeps_it(tmp_path: Path, in_the_way: str) -> None:
    first = tmp_path / "it-1.json"
    match in_the_way:
        case "file":
            first.write_bytes(b"another run's")
        case "directory":
            first.mkdir()
        case "loop":
            first.symlink_to(first)
        case _:
            first.symlink_to("nowhere")
    assert write_new(tmp_path, "it", ".json", b"ours") == tmp_path / "it-2.json"
    assert (tmp_path / "it-2.json").read_bytes() == b"ours"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["it-1.json", "it-2.json"]
    assert in_the_way != "file" or first.read_bytes() == b"another run's"


def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(saving.os, "link", no_links)
    made = [write_new(tmp_path, "it", ".json", str(number).encode()) for number in range(3)]
    assert write_new(tmp_path, "it", ".json", b"1") == made[1]  # the same, found again
    assert [each.name for each in made] == ["it-1.json", "it-2.json", "it-3.json"]
    assert [each.read_bytes() for each in made] == [b"0", b"1", b"2"]


def test_two_runs_into_one_directory_keep_what_both_have_found(tmp_path: Path) -> None:
    other = Scenario({"disk0": 512}, (), title="another")
    one = gathered(tmp_path, failure(), failure(Verdict.BROKEN), failure(Verdict.UNSAFE, other))
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir() if not each.name.startswith(LIST)}
    second = gathered(tmp_path, failure(Verdict.UNSAFE, other), failure(Verdict.BROKEN))
    names = [each.saved for each in (*one.failures, *second.failures)]
    assert len(set(names)) == 4
    assert all(load(each.saved) == each.scenario for each in (*one.failures, *second.failures))
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())


def test_a_scenario_is_saved_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("cbtcheck.host.saving.os.write", full)
    with pytest.raises(OSError, match="No space"):
        save(SCENARIO, tmp_path / "it.json")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named_as_it_was_asked_for(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "no" / "it.json", b"x")
    assert caught.value.filename == str(tmp_path / "no" / "it.json")
    monkeypatch.setattr("cbtcheck.host.saving.os.write", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_whole(tmp_path / "it.json", b"x")
    assert caught.value.filename == str(tmp_path / "it.json")


def test_characters_that_hide_are_escaped_in_the_file(tmp_path: Path) -> None:
    evil = "\x9b31m\u202e\u2028\U000e0041 x"
    save(Scenario({"disk0": 65536}, (), title=evil), tmp_path / "it.json")
    raw = (tmp_path / "it.json").read_text()
    assert all(line.isprintable() for line in raw.splitlines())
    assert load(tmp_path / "it.json").title == evil


# When it cannot be saved


def test_a_full_disk_is_said_and_the_scenario_printed(tmp_path: Path) -> None:
    done = cbtspec(*MISTAKE, "--reports", tmp_path / "r", limit=60)
    assert done.returncode == 2
    assert "Not saved: " in done.stdout
    assert "File too large" in done.stdout
    assert "cannot be written: File too large" in done.stderr
    assert "Reproduce with" not in done.stdout
    found = done.stdout.partition('{"format":"cbtspec-scenario"')[2].partition("\n ]}")[0]
    scenario = json.loads('{"format":"cbtspec-scenario"' + found + "\n ]}")
    (tmp_path / "again.json").write_text(json.dumps(scenario))
    assert cbtspec("replay", tmp_path / "again.json", "--mistake", "zeroes-not-marked").returncode == 2
    assert not [each for each in tmp_path.rglob("*") if each.is_file() and each.name != "again.json"]


def test_the_line_to_reproduce_names_the_file_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "reference-unsafe-1.json").mkdir()
    done = cbtspec(*MISTAKE, "--reports", tmp_path)
    assert done.returncode == 2
    path = tmp_path / "reference-unsafe-2.json"
    assert f"cbtspec replay {path} " in done.stdout
    assert cbtspec("replay", path, "--mistake", "zeroes-not-marked").returncode == 2


@pytest.mark.parametrize("option", ["--json", "--junit", "--html"])
def test_a_report_that_cannot_be_written_whole_is_not_there_and_no_success(tmp_path: Path, option: str) -> None:
    target = tmp_path / "report"
    done = cbtspec("check", "--only", "pause-job", "--examples", "1", option, target, limit=100, cwd=tmp_path)
    assert done.returncode == 74, done.stderr
    assert done.stdout.splitlines()[-1].startswith(("CONFORMANT", "AGREES"))
    (line,) = (each for each in done.stderr.splitlines() if each.startswith("cbtspec"))  # others: how far it is
    assert line == f"cbtspec: {option}: {target} cannot be written: File too large"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["vectors", "--out"], ["tour", "--write"]])
def test_other_files_are_not_left_half_written_either(tmp_path: Path, words: list[str]) -> None:
    done = cbtspec(*words, tmp_path / "out", limit=100)
    assert done.returncode == 74
    assert "File too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


# Standard output


def test_a_full_standard_output_is_said_and_the_files_are_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cbtcheck", *MISTAKE, "--json", "r.json"]
    with open("/dev/full", "wb") as nowhere:
        done = subprocess.run(
            command, stdout=nowhere, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
        )  # fmt: skip
    assert done.returncode == 74
    assert "cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert report["failures"]
    assert Path(tmp_path / report["failures"][0]["saved"]).is_file()


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["tour"], ["oracle", "--schema", "input"]])
@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", ">/dev/full", ">/dev/full 2>/dev/full"])
def test_closed_and_full_streams_are_no_traceback(words: list[str], closing: str) -> None:
    command = f'exec "$0" -m cbtcheck {" ".join(words)} {closing}'
    done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    nowhere = closing.startswith(">")  # what is asked for goes to standard output, and is lost
    assert done.returncode == (74 if nowhere else 0)


def test_nobody_reads() -> None:
    command = 'set -o pipefail; "$0" -m cbtcheck tour | head -1'
    done = subprocess.run(["bash", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (64, "")
