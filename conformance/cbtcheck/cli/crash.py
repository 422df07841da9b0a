"""`cbtspec crash`: every state that a crash can leave of a real image, and every request that fails."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cbtcheck.cli.imports import importing
from cbtcheck.run.interrupts import taken
from cbtcheck.scenario.verdict import EXIT_CODES

if TYPE_CHECKING:
    from cbtcheck.crash.crew import Crew
    from cbtcheck.crash.history import Step
    from cbtcheck.crash.players import Who
    from cbtcheck.crash.recording import Fault
    from cbtcheck.crash.report import Profile, Report
    from cbtcheck.crash.setting import Setting

PROFILES = {"quick": (2_000, 60), "ci": (50_000, 600), "deep": (500_000, 6_000)}
"""Crash states and requests that fail."""
SEED = 20160121
EPILOG = f"""\b
Exit codes:
  {EXIT_CODES["conformant"]:>3}  nothing was found that is not known
  {EXIT_CODES["unsafe or diverging"]:>3}  a write is lost, an image cannot be opened, or it is stuck: not known
  {EXIT_CODES["broken"]:>3}  QEMU or the program died or hung; or QEMU sees a state otherwise than our reader
  {EXIT_CODES["usage"]:>3}  usage: no daemon, no such history, no room for temporary files; a process was killed
  {EXIT_CODES["interrupted"]:>3}  interrupted by Ctrl-C: what was found until then is printed
"""


@click.command(name="crash", epilog=EPILOG)
@click.argument("adapter", metavar="[qemu|reference|exec]", default="qemu")
@click.option(
    "--profile",
    type=click.Choice([*PROFILES]),
    default="quick",
    show_default=True,
    help="How many states and faults: "
    + ", ".join(f"{name} {s:,} and {f:,}" for name, (s, f) in PROFILES.items())
    + ".",
)
@click.option("--states", type=click.IntRange(min=0), metavar="N", help="So many states instead.")
@click.option("--faults", type=click.IntRange(min=0), metavar="N", help="So many faults instead.")
@click.option("--seed", type=click.IntRange(min=0), default=SEED, show_default=True, help="Of drawn histories.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many processes share the histories and faults. What is reported does not depend on it.",
)
@click.option("--qemu-storage-daemon", "daemon", metavar="PATH", help="The daemon (default: the first on PATH).")
@click.option(
    "--qemu-img", metavar="PATH", help="For offline operations (default: beside the daemon, else on PATH, else none)."
)
@click.option("--history", metavar="STEPS", help="Only this history, such as 'open; add b; write 0; close'.")
@click.option("--cluster-size", type=click.Choice(["512", "4096", "65536"]), default="4096", help="With --history.")
@click.option("--trims", type=click.Choice(["zeroed", "kept", "none"]), default="zeroed", help="With --history.")
@click.option("--backing", is_flag=True, help="With --history: over a backing file.")
@click.option("--sectors", is_flag=True, help="With --history: only states with torn writes.")
@click.option("--fault", metavar="NUMBER:ERROR[:for-ever]", help="With --history: this request fails.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- PROGRAM [ARGUMENT]...]")
def crash_command(
    adapter: str, profile: str, states: int | None, faults: int | None, seed: int, jobs: int, daemon: str | None,
    qemu_img: str | None, history: str | None, cluster_size: str, trims: str, backing: bool, sectors: bool,
    fault: str | None, as_json: bool, words: tuple[str, ...],
) -> int:  # fmt: skip
    """Crash states of a real QEMU's images, or of our own: does a bitmap say *valid* that lacks a write?

    Histories are played on a qcow2 image that lies on the suite's own storage. Of all writes and flushes that reach
    it, the states that a crash can leave are judged, of very many a sample; and requests fail, once or from then on.
    """
    if adapter not in ("qemu", "reference", "exec"):
        raise click.UsageError(f"Only qemu, the reference or a program (exec) can be asked, not '{adapter}'.")
    if (adapter == "exec") is not bool(words):
        raise click.UsageError("A program is for the adapter 'exec', and it needs one: crash exec -- ./my-store")
    if history is None and fault is not None:
        raise click.UsageError("--fault is for one --history.")
    with importing():
        from cbtcheck.adapters.qemu.daemon import DaemonDied, DaemonMissing, DaemonTooOld, find_daemon
        from cbtcheck.crash.history import NoHistory, parsed
        from cbtcheck.crash.players import Who
        from cbtcheck.crash.pool import ProcessKilled
        from cbtcheck.crash.program import ProgramBroken, ProgramMissing
        from cbtcheck.crash.report import Profile, Report
        from cbtcheck.crash.setting import Setting
        from cbtcheck.crash.words import broken, lines, to_json
    try:
        steps = None if history is None else parsed(history)
        binary = None if adapter == "exec" else find_daemon(daemon)
    except NoHistory as problem:
        raise click.ClickException(str(problem)) from None
    except DaemonMissing as problem:
        if adapter == "qemu" or daemon is not None:
            raise click.ClickException(str(problem)) from None
        binary = None
    usual_states, usual_faults = PROFILES[profile]
    asked = Profile(usual_states if states is None else states, usual_faults if faults is None else faults, seed)
    setting = Setting(int(cluster_size).bit_length() - 1, backing, trims)
    report = Report(adapter=adapter, command=shlex.join(words))
    one = None if steps is None else (setting, steps, sectors, _fault(fault))
    try:
        who = Who(adapter, words, binary, None if adapter == "exec" else _beside(binary, qemu_img))
        asyncio.run(_run(who, jobs, asked, report, one))
    except (DaemonMissing, DaemonTooOld) as problem:
        raise click.ClickException(str(problem)) from None
    except ProgramMissing as problem:
        raise click.ClickException(f"{words[0]} cannot be started: {problem}") from None
    except ProgramBroken as problem:
        report.hung = f"{report.command}: {problem}"
    except (DaemonDied, TimeoutError) as problem:
        if not report.version:
            raise click.ClickException(f"{binary} cannot be used: {problem}") from None
        report.hung = str(problem) or "a history took more than two minutes"
    except ProcessKilled as killed:
        report.killed = str(killed)
    except KeyboardInterrupt:
        taken()
        report.interrupted = True
    click.echo(to_json(report, asked) if as_json else "\n".join(lines(report, asked)))
    if report.interrupted:
        return EXIT_CODES["interrupted"]
    if report.killed:
        return EXIT_CODES["usage"]
    if broken(report):
        return EXIT_CODES["broken"]
    new = any(not each.known for each in report.findings.values())
    return EXIT_CODES["unsafe or diverging" if new else "conformant"]


One = tuple["Setting", "tuple[Step, ...]", bool, "Fault | None"]
"""One history: on what, its steps, whether writes are torn, and the fault."""


async def _run(who: Who, jobs: int, asked: Profile, report: Report, one: One | None) -> None:
    from cbtcheck.crash.crew import Alone
    from cbtcheck.crash.offline import version
    from cbtcheck.crash.pool import Pool
    from cbtcheck.host.temporary import directory

    with directory("crash-") as place:
        try:
            async with who.playing(place) as cast:
                report.version = "" if cast.looker is None else cast.looker.version
                if who.qemu_img is not None and who.adapter == "qemu":
                    report.qemu_img = await version(who.qemu_img)
                if one is not None or jobs == 1:
                    await _played(Alone(cast), who, asked, report, one)
                    return
            with Pool(who, place, jobs) as crew:
                await _played(crew, who, asked, report, one)
        except asyncio.CancelledError:  # what is said of tasks that Ctrl-C has torn is of no interest
            for name in ("asyncio", "qemu.qmp"):
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
            raise


async def _played(crew: Crew, who: Who, asked: Profile, report: Report, one: One | None) -> None:
    from rich.console import Console

    from cbtcheck.crash.run import run, taken_from
    from cbtcheck.crash.states import SECTORS, WHOLE
    from cbtcheck.crash.tasks import OneFault, OneHistory
    from cbtcheck.host.progress import ProgressLine

    if one is None:
        offline = who.adapter == "reference" or who.qemu_img is not None
        with ProgressLine(Console(stderr=True)) as progress:
            await run(crew, asked, offline, report, progress)
        return
    setting, history, sectors, fault = one
    if fault is not None:
        await taken_from(crew, OneFault(setting, history, fault), report)
    else:
        await taken_from(crew, OneHistory(setting, history, (SECTORS if sectors else WHOLE,), asked.seed), report)


def _beside(binary: str | None, named: str | None) -> str | None:
    """The `qemu-img` of the same QEMU."""
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise click.ClickException(f"'{named}' is not an executable file: give the path of a qemu-img")
        return found
    if binary is None:
        return None
    beside = Path(binary).with_name("qemu-img")
    return str(beside) if beside.exists() else shutil.which("qemu-img")


def _fault(text: str | None) -> Fault | None:
    from cbtcheck.crash.recording import Fault

    if text is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,5}):(EIO|ENOSPC)(:for-ever)?", text)
    if found is None:
        raise click.UsageError(f"--fault: '{text}' is no fault (such as 12:EIO or 12:ENOSPC:for-ever).")
    return Fault(int(found[1]), getattr(errno, found[2]), bool(found[3]))
