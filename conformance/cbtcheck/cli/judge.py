"""`cbtspec judge`: does a backup tool give the disk back, whatever the guest writes, whatever fails?"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cbtcheck.cli.imports import importing
from cbtcheck.host.lacking import why_of
from cbtcheck.report.outputs import Outputs, output_options
from cbtcheck.scenario.verdict import EXIT_CODES

if TYPE_CHECKING:
    from cbtcheck.judging.campaign import Result
    from cbtcheck.judging.plan import Plan, PlannedDisk

@dataclass(frozen=True)
class Chosen:
    """What is played, how many at a time, and where it is kept."""

    profile: str
    seed: int
    jobs: int
    reports: Path
    resume: Path | None
    only: str


USUAL_SEED = 20160121

EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  safe: no restore gave back what the disk never was
  {EXIT_CODES["wasteful"]:>3}  wasteful: safe, but an increment copies far more than has changed
  {EXIT_CODES["broken"]:>3}  broken: QEMU crashed, or its disk failed by itself
  {EXIT_CODES["incomplete"]:>3}  safe, incomplete: not all of the profile was played (--only)
  {EXIT_CODES["commands"]:>3}  unsafe: a restore gave back what the disk never was
  {EXIT_CODES["stuck"]:>3}  stuck: after a failure the tool fails, or hangs, until somebody cleans up
  {EXIT_CODES["usage"]:>3}  usage: the tool cannot be judged (it fails by itself), or there is no QEMU
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C
"""


@click.command(name="judge", epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--backup", metavar="COMMAND", help="The tool's full backup. {qmp} stands for QEMU's socket.")
@click.option("--increment", metavar="COMMAND", help="The tool's increment.")
@click.option("--restore", metavar="COMMAND", help="The tool's restore of the newest backup, to the raw image {out}.")
@click.option("--qmp", "socket", metavar="SOCKET",
              help="Where the tool looks for QEMU, if it cannot be told: then one schedule at a time.")  # fmt: skip
@click.option("--disk", "disks", multiple=True, metavar="NODE[=SIZE]",
              help="A disk of the guest (default: disk0). The restore writes it to {out.NODE}.")  # fmt: skip
@click.option("--together", is_flag=True, help="The tool promises that all disks of a backup are of one instant.")
@click.option("--system", is_flag=True, help="On qemu-system-x86_64, paused, in place of a storage daemon.")
@click.option("--emulator", is_flag=True,
              help="The tool starts QEMU itself: it has to start {emulator} in place of QEMU's binary.")  # fmt: skip
@click.option("--setup", metavar="COMMAND", help="Run once, before all else.")
@click.option("--service", metavar="COMMAND", help="Runs all the while.")
@click.option("--restart", metavar="COMMAND", help="With --emulator: starts QEMU once more when it has ended.")
@click.option("--device", "devices", multiple=True, metavar="NODE=PATH",
              help="With --emulator: the path of a disk's device in QEMU, as query-block calls it.")  # fmt: skip
@click.option("--qemu", metavar="PROGRAM", help="The emulator, if it is not the one on PATH.")
@click.option("--increments", type=click.IntRange(0, 8), help="How many follow the full backup (default: 2).")
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True, max=86_400), metavar="SECONDS",
              help="How long a command of the tool may take (default: 20).")  # fmt: skip
@click.option("--profile", type=click.Choice(["quick", "ci", "deep"]), default="quick", show_default=True,
              help="How many schedules.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=USUAL_SEED, show_default=True, help="What is drawn.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Schedules at a time.")
@click.option("--play", "played", type=click.Path(path_type=Path), metavar="SCHEDULE",
              help="Play this one schedule only, and show all of it.")  # fmt: skip
@click.option("--only", default="", metavar="TEXT", help="Only schedules with this in their name.")
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True,
              metavar="DIR", help="Where schedules that failed are saved.")  # fmt: skip
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR",
              help="Keep what is done there, and go on with what is kept there.")  # fmt: skip
@output_options
def judge_command(
    file: Path | None, backup: str | None, increment: str | None, restore: str | None, socket: str | None,
    disks: tuple[str, ...], together: bool, system: bool, emulator: bool, setup: str | None, service: str | None,
    restart: str | None, devices: tuple[str, ...], qemu: str | None, increments: int | None,
    deadline: float | None, profile: str, seed: int, jobs: int, played: Path | None, reports: Path,
    resume: Path | None, only: str, outputs: Outputs,
) -> int:  # fmt: skip
    """Judges a backup tool by what its restore gives back.

    Runs the tool's own commands on a real QEMU whose guest, disks and faults are the suite's: a full backup,
    increments, and a restore after each; once for every window in which the guest may write, and for everything that
    may fail. FILE is a TOML file with all of it; or say --backup, --increment and --restore.
    """
    with importing():
        import rich.console  # noqa: F401  # what is called below is imported here, too

        from cbtcheck.host import progress  # noqa: F401
        from cbtcheck.judging import checked, printed  # noqa: F401
        from cbtcheck.judging.campaign import CannotJudge
        from cbtcheck.judging.emulator import EmulatorProblem
        from cbtcheck.judging.plan import PlanProblem
        from cbtcheck.judging.schedule import ScheduleProblem
    try:
        hosting = {"--setup": setup, "--service": service, "--restart": restart}
        if devices and not emulator:
            raise click.UsageError("--device: only with --emulator.")
        commands = {"--backup": backup, "--increment": increment, "--restore": restore}
        plan = _plan(file, commands, hosting, disks, _devices(devices) if emulator else None)
        changes: dict[str, object] = {"socket": "" if socket is None else os.path.abspath(socket)}
        changes |= {"together": True} if together else {}
        if system and plan.kind == "tool":
            raise click.UsageError("--system: the tool starts QEMU itself.")
        changes |= {"kind": "system"} if system else {}
        changes |= {} if qemu is None else {"binary": qemu}
        changes |= {} if increments is None else {"increments": increments}
        changes |= {} if deadline is None else {"deadline": deadline}
        plan = replace(plan, **changes)  # type: ignore[arg-type]
        if socket is not None and plan.kind == "tool":
            raise click.UsageError("--qmp: the tool starts QEMU itself, and says where its socket is.")
        if socket is not None and os.path.lexists(socket):
            raise click.ClickException(f"{socket} is there already: nothing that is there is touched.")
        if played is not None:
            return _play(plan, played)
        chosen = Chosen(profile, seed, 1 if socket is not None else jobs, reports, resume, only)
        return _judge(plan, chosen, outputs)
    except (PlanProblem, ScheduleProblem, EmulatorProblem, CannotJudge) as problem:
        raise click.ClickException(str(problem)) from None


def _plan(
    file: Path | None, commands: dict[str, str | None], besides: dict[str, str | None], disks: tuple[str, ...],
    devices: dict[str, str] | None,
) -> Plan:  # fmt: skip
    """`devices`: by disk, where the tool starts QEMU itself; else None."""
    from cbtcheck.judging import plan as plans

    if file is not None:
        given = [option for option, command in (commands | besides).items() if command]
        given += ["--disk"] * bool(disks) + ["--emulator"] * (devices is not None)
        if given:
            raise click.UsageError(f"{given[0]}: that is in {file}.")
        return plans.read_plan(file)
    lacking = [option for option, command in commands.items() if not command]
    if lacking:
        raise click.UsageError(f"{', '.join(lacking)}: missing. Or name a TOML file that has all of it.")
    named = tuple(_disk(each) for each in disks) or (plans.PlannedDisk("disk0"),)
    if devices is not None:
        named = tuple(replace(each, served=False, device=devices.pop(each.name, "")) for each in named)
        if devices:
            raise click.UsageError(f"--device {next(iter(devices))}=…: there is no such disk.")
    said = {option.removeprefix("--"): command or "" for option, command in (commands | besides).items()}
    plan = plans.Plan(disks=named, kind="storage-daemon" if devices is None else "tool", **said)  # type: ignore[arg-type]
    plans.check(plan)
    return plan


def _disk(said: str) -> PlannedDisk:
    from cbtcheck.judging import plan as plans

    name, sized, size = said.partition("=")
    if not name:
        raise click.UsageError(f"--disk {said}: expected NODE or NODE=SIZE, as in disk0=2M.")
    return plans.PlannedDisk(name, plans.disk_size(name, size)) if sized else plans.PlannedDisk(name)


def _devices(said: tuple[str, ...]) -> dict[str, str]:
    """The devices of the disks, by name."""
    found = dict(each.partition("=")[::2] for each in said)
    for name, path in found.items():
        if not name or not path:
            example = "disk0=/machine/peripheral/vda/virtio-backend"
            raise click.UsageError(f"--device {name}: expected NODE=PATH, as in {example}.")
    return found


def _play(plan: Plan, path: Path) -> int:
    from cbtcheck.judging.checked import opinion
    from cbtcheck.judging.grouped import Shown
    from cbtcheck.judging.play import play
    from cbtcheck.judging.printed import failure, timeline
    from cbtcheck.judging.schedule import read_schedule
    from cbtcheck.judging.verdicts import Judgement, Reason

    outcome = play(plan, read_schedule(path))
    shown = Shown(outcome, verified=opinion(outcome, plan.sizes()))
    if outcome.reasons:
        for line in failure(shown, "1 of 1", ""):
            click.echo(line)
    else:
        for line in timeline(outcome, Reason(Judgement.SAFE, "")):
            click.echo(line)
        click.echo(f"  verify     {shown.verified}")
    for each in outcome.missed:
        click.echo(f"not reached: {each}")
    click.echo(f"{outcome.judgement.value.upper()} in this schedule.")
    return outcome.judgement.exit_code


def _judge(plan: Plan, chosen: Chosen, outputs: Outputs) -> int:
    from rich.console import Console

    from cbtcheck.host.progress import ProgressLine
    from cbtcheck.judging.campaign import judge
    from cbtcheck.judging.enumerated import PROFILES
    from cbtcheck.judging.printed import lines

    try:
        with ProgressLine(Console(stderr=True)) as progress:
            told = partial(progress, "schedules")
            result = judge(plan, PROFILES[chosen.profile], chosen.seed, chosen.jobs, chosen.resume, told, chosen.only)
    except OSError as problem:
        raise click.ClickException(f"what was done cannot be kept: {why_of(problem)}") from None
    _save(result, chosen.reports)
    with outputs.fenced():
        for line in lines(result, _again()):
            click.echo(line)
    written = _write(result, outputs)
    if not result.complete:
        return EXIT_CODES["interrupted"]
    if not written and result.judgement.exit_code == EXIT_CODES["conformant"]:
        return EXIT_CODES["output"]
    code = result.judgement.exit_code
    return EXIT_CODES["incomplete"] if result.left_out and code == EXIT_CODES["conformant"] else code


def _write(result: Result, outputs: Outputs) -> bool:
    """Writes the report wherever else it is wanted; whether all could be written."""
    from cbtcheck.host.saving import write_whole
    from cbtcheck.judging import exported, page

    again, written = _again(), True
    for option, path in outputs.files():
        try:
            if option == "--json":
                write_whole(path, exported.to_json(result, again))
            elif option == "--junit":
                write_whole(path, exported.to_junit(result, again))
            elif option == "--html":
                write_whole(path, page.to_html(result, again).encode(errors="replace"))
            else:
                with path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(exported.summary(result, again))
        except OSError as problem:
            click.echo(f"cbtspec: {option}: {path} cannot be written: {why_of(problem)}", err=True)
            written = False
    if outputs.github:
        for each in exported.workflow_commands(result, again):
            click.echo(each)
    return written


def _save(result: Result, reports: Path) -> None:
    """Saves the schedules and recordings of what failed, and asks `verify` for its opinion."""
    from cbtcheck.judging.checked import opinion, write_log
    from cbtcheck.judging.schedule import write_schedule

    for number, each in enumerate(result.shown, 1):
        each.verified = opinion(each.outcome, result.plan.sizes())
        path = reports / f"judge-{result.plan.name or 'tool'}-{each.outcome.judgement.value}-{number}.json"
        try:
            reports.mkdir(parents=True, exist_ok=True)
            write_schedule(each.outcome.schedule, path)
            write_log(each.outcome, path.with_suffix(".qmp"))
            each.saved = path
        except OSError as problem:
            click.echo(f"cbtspec: {path} cannot be written: {why_of(problem)}", err=True)


NOT_AGAIN = frozenset({
    "--profile", "--seed", "--jobs", "--reports", "--resume", "--play", "--only", "--json", "--junit", "--html",
})  # fmt: skip
"""Options with a value that say how much is played, and where it is told."""


def _again() -> str:
    """The command as it was called, without what says how much is played."""
    words, rest = ["cbtspec", "judge"], iter(sys.argv[2:])
    for word in rest:
        if word in NOT_AGAIN:
            next(rest, None)
        elif word.partition("=")[0] not in NOT_AGAIN and word != "--github":
            words.append(word)
    return shlex.join(words)
