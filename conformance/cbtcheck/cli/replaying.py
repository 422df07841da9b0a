"""A saved scenario, played and drawn: what `cbtspec replay` does."""

from __future__ import annotations

from pathlib import Path

import click

from cbtcheck import adapters
from cbtcheck.adapter import Adapter, AdapterBroken
from cbtcheck.cli.adapter_options import LOG_WIDTH, opener_of
from cbtcheck.cli.picture_option import draw
from cbtcheck.cli.problem import Problem
from cbtcheck.follow import chain_words
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.follow.play import Frame, last_words, verdict_of
from cbtcheck.host.printable import plain
from cbtcheck.report.picture import picture
from cbtcheck.report.plain_console import console
from cbtcheck.report.printed import COLOUR
from cbtcheck.run import course
from cbtcheck.run.repeat import Outcome, Repeated, repeated
from cbtcheck.scenario.capabilities import broken_sector
from cbtcheck.scenario.rules import rule
from cbtcheck.scenario.scenario import Scenario, ScenarioError, load
from cbtcheck.scenario.verdict import EXIT_CODES, Finding, Verdict, exit_code


def replay(file: Path, opening: adapters.Opening, drawn: Path | None = None) -> int:
    """Plays it, again if it fails; returns the exit code. `drawn`: where its backups are drawn. Raises `Problem`."""
    scenario = _loaded(file)
    with opener_of(opening) as opener:
        try:
            opened = opener()
            version = opened.version
            if broken := broken_sector(scenario, opened.capabilities):
                raise Problem(f"{file.name} cannot be played there: {broken}")
            frames, findings = course.replay(opened, scenario)
            came = _again(opened, scenario, frames, findings) if findings else None
        except AdapterBroken as broken:
            click.echo(f"broken: {last_words(broken)}")
            return EXIT_CODES["broken"]
    out = console(LOG_WIDTH)
    out.print(plain(f"{scenario.title or file.name} on {version}"), markup=False, highlight=False, soft_wrap=True)
    if scenario.story:
        out.print(plain(scenario.story), markup=False, highlight=False, soft_wrap=True)
    out.print()
    out.print(picture(frames, scenario.block))
    table = chains_of(frames, scenario.block)
    if drawn is not None:
        draw(drawn, scenario.title or file.name, [(table, chain_words.ranges, None)], frames)
    for line in chain_words.lines(table):
        out.print(plain(line), markup=False, highlight=False, soft_wrap=True)
    for each in findings:
        out.print(str(each), style=COLOUR[each.verdict], markup=False, highlight=False, soft_wrap=True)
    for said in dict.fromkeys(map(rule, findings)):
        out.print(f"Rule: {said}", markup=False, highlight=False, soft_wrap=True)
    if came is None:
        out.print("agrees at every step", style="green")
        if not table.right:
            said_of = plain(chain_words.verdict(table))
            out.print(said_of, style=COLOUR[Verdict.UNSAFE], markup=False, highlight=False, soft_wrap=True)
            return EXIT_CODES["commands"]
        return EXIT_CODES["conformant"]
    if came.counts:
        if came.again < came.replays:
            out.print(came.in_words)
        return exit_code(verdict_of(findings))
    out.print(f"not repeatable: {came.in_words}", style=COLOUR[Verdict.NOT_REPEATABLE])
    return exit_code(Verdict.NOT_REPEATABLE)


def _again(adapter: Adapter, scenario: Scenario, frames: list[Frame], findings: list[Finding]) -> Repeated:
    """Whether what was found comes again."""

    def once_more() -> Outcome:
        played, found = course.replay(adapter, scenario)
        return found, played

    return repeated((findings, frames), once_more, lambda: adapter.exhausted)


def _loaded(file: Path) -> Scenario:
    try:
        return load(file)
    except ScenarioError as problem:
        raise Problem(str(problem)) from None
