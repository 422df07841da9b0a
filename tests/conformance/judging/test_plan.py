"""What a TOML file and the options may say, and what is said where they are wrong."""

from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from cbtcheck.judging.plan import PlanProblem, filled_in, read_plan
from click.testing import CliRunner

RIGHT = '[client]\nbackup = "b {qmp}"\nincrement = "i {qmp}"\nrestore = "r {out}"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[client\n", "is no TOML"),
        ("", "required field `client`"),
        ("[client]\n", "required field `backup`"),
        (RIGHT + "colour = 1\n", "unknown field `colour`"),
        (RIGHT + "deadline = 0\n", "> 0.0"),
        (RIGHT + "deadline = inf\n", "<= 86400"),
        (RIGHT + "together = 1\n", "`bool`"),
        (RIGHT.replace("{out}", "{ou}"), "restore: there is no {ou}"),
        (RIGHT.replace("b {qmp}", "b {out}"), "backup: {out} is for the restore only"),
        (RIGHT.replace(" {out}", ""), "it has to write the disk disk0"),
        (RIGHT + "[disks.a]\n[disks.b]\n", "{out} is one file, and there are 2 disks: say {out.a} {out.b}"),
        (RIGHT + '[disks.a]\nsize = "7"\n', "'7' is no size of a disk"),
        (RIGHT + '[disks.a]\nsize = "1T"\n', "'1T' is no size of a disk"),
        (RIGHT + '[disks."-x"]\n', "'-x' is no name of a disk: a letter"),
        (RIGHT + '[disks.a]\nformat = "vmdk"\n', "'vmdk' - at `$.disks[...].format`: there are qcow2, raw"),
        (RIGHT + '[emulator]\nkind = "vm"\n', "there are storage-daemon, system, tool"),
        (RIGHT + "[emulator]\ndevices = true\n", "only with the emulator of kind 'system'"),
        ("increments = 9\n" + RIGHT, "<= 8"),
    ],
)
def test_a_file_that_is_wrong_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "it.toml"
    file.write_text(text)
    with pytest.raises(PlanProblem) as problem:
        read_plan(file)
    assert said in str(problem.value)
    assert str(problem.value).startswith(str(file))
    assert "\n" not in str(problem.value)


def test_a_file_that_is_right_is_read(tmp_path: Path) -> None:
    file = tmp_path / "it.toml"
    file.write_text("increments = 1\n" + RIGHT + '[disks.a]\nsize = "2M"\nformat = "raw"\nstorage = "file"\n')
    plan = read_plan(file)
    assert (plan.increments, plan.disk("a").size, plan.disk("a").format) == (1, 2 << 20, "raw")
    assert not plan.disk("a").served
    assert plan.here == tmp_path


def test_places_are_filled_in_as_words_of_a_shell() -> None:
    assert filled_in("r {out} {x} ${HOME}", {"out": "/a b/'c'"}) == "r '/a b/'\"'\"'c'\"'\"'' {x} ${HOME}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--backup, --increment, --restore: missing"),
        (["--backup", "b", "--increment", "i"], "--restore: missing"),
        (["no.toml"], "cannot be read"),
        (["--backup", "b", "--increment", "i", "--restore", "r {out}", "--disk", "a=3"], "no size of a disk"),
        (["--backup", "b", "--increment", "i", "--restore", "r"], "it has to write the disk disk0"),
        (["--backup", "b", "--increment", "i", "--restore", "r {out}", "--qemu", "no-such"], "there is no no-such"),
        (["--backup", "b", "--increment", "i", "--restore", "r {out}", "--qmp", "/"], "is there already"),
        (["--backup", "b", "--increment", "i", "--restore", "r {out}", "--play", "/no"], "cannot be read"),
    ],
)
def test_a_call_that_is_wrong_is_a_mistake_of_usage(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["judge", *arguments])
    assert done.exit_code == 64, done.output
    assert said in done.output
