"""Writes that are padded: allowed as far as it is declared, waste beyond it; and nothing else is hidden by it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from cbtcheck.adapters.exec import capabilities_of
from cbtcheck.adapters.mistakes import MISTAKES
from cbtcheck.adapters.protocol.messages import Hello
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.command import main
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.oracle import Oracle, OracleError
from cbtcheck.run.hunting import shortest
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.machine import draw_scenarios
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify
from cbtmodel import commands as c
from click.testing import CliRunner

K4 = 4096
PADS = "pads-undeclared"
"""The seeded mistake that pads writes to 4 KiB: no mistake, if that is declared."""

A_WRITE = (c.AddBitmap("d", "b", 512), c.Write("d", 5 * K4 + 700, 1))
FROZEN = (*A_WRITE, c.StartBackup("j", "d", "incremental", "b", cluster=K4), c.Write("d", K4, 1))


def adapter(alignment: int, mistake: str = PADS) -> ReferenceAdapter:
    """The reference, with something wrong with it, that declares this alignment."""
    made = ReferenceAdapter(MISTAKES[mistake].host, mistake) if mistake else ReferenceAdapter()
    made.capabilities = replace(made.capabilities, alignment=alignment, clusters=(K4, 4 * K4))
    return made


def verdict(made: ReferenceAdapter, *commands: c.Command) -> Verdict:
    return verdict_of(Player(made).play_scenario(Scenario({"d": 8 * K4 + 512}, commands)))


@pytest.mark.parametrize("commands", [A_WRITE, FROZEN, (*FROZEN, c.CancelJob("j"))], ids=len)
def test_padding_is_waste_unless_it_is_declared(commands: tuple[c.Command, ...]) -> None:
    assert verdict(adapter(1), *commands) is Verdict.WASTEFUL
    assert verdict(adapter(2048), *commands) is Verdict.WASTEFUL, "beyond what is declared"
    assert verdict(adapter(K4), *commands) is Verdict.EXACT
    assert verdict(adapter(2 * K4), *commands) is Verdict.EXACT, "it may, and need not"
    assert verdict(adapter(K4, ""), *commands) is Verdict.EXACT, "not padded at all"


def test_a_write_beyond_what_is_declared_is_waste_where_a_job_has_the_bitmap_frozen() -> None:
    before = (A_WRITE[0], c.StartBackup("j", "d", "full", "b", "on-success", cluster=K4, auto_finalize=False))
    assert verdict(adapter(2048), *before, c.Write("d", 0, 1)) is Verdict.WASTEFUL
    assert verdict(adapter(K4), *before, c.Write("d", 0, 1)) is Verdict.EXACT


def test_where_granules_are_no_smaller_there_is_nothing_to_pad() -> None:
    for alignment in (1, K4):
        assert verdict(adapter(alignment), c.AddBitmap("d", "b", K4), A_WRITE[1]) is Verdict.EXACT


@pytest.mark.parametrize("name", ["first-granule-only", "leftovers-forgotten", "unchanged-not-marked"])
def test_what_loses_a_write_loses_it_with_any_alignment(name: str) -> None:
    scenario = shortest(MISTAKES[name])
    assert verdict_of(Player(adapter(K4, name)).play_scenario(scenario)) is Verdict.UNSAFE


def test_whatever_is_drawn_agrees_if_padding_is_declared() -> None:
    made, wrong, drawn = adapter(K4), 0, list[Scenario]()
    draw_scenarios(made.capabilities, drawn.append, seed=9, examples=60, steps=20)
    for scenario in drawn:
        assert Player(made).play_scenario(scenario) == [], scenario
        wrong += bool(Player(adapter(1)).play_scenario(scenario))
    assert wrong > 5


# Others who judge


def test_the_oracle_bounds_what_may_be_dirty() -> None:
    asked = Oracle({"d": 1 << 30}, alignment=K4)
    asked.command(c.AddBitmap("d", "b", 512))
    asked.write("d", 3 * K4 + 512, 1)
    bounds = asked.bounds("d", "b")
    assert (bounds.must.extents(), bounds.may.extents()) == ([(3 * K4 + 512, 512)], [(3 * K4, K4)])
    assert asked.observe_bitmap("d", "b", [(3 * K4, K4)]) == []
    assert [each.verdict for each in asked.observe_bitmap("d", "b", [(3 * K4, 2 * K4)])] == [Verdict.WASTEFUL]
    with pytest.raises(OracleError, match="an alignment of 1000 bytes: it must be a power of two"):
        Oracle({"d": 512}, alignment=1000)


HEAD = {"format": "cbtspec-trace", "version": 1, "disks": {"d": 64 * K4}}
LINES = (
    {"do": "add-bitmap", "node": "d", "name": "b", "granularity": 512},
    {"do": "write", "node": "d", "offset": K4 + 1, "length": 1},
    {"see": "bitmaps", "node": "d", "bitmaps": {"b": {"dirty": [[K4, K4]]}}},
)


def text(head: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in (head, *LINES))


def judged(head: dict[str, Any], alignment: int | None = None) -> TraceReport:
    return verify(io.BytesIO(text(head).encode()), Options(alignment=alignment))


def test_a_trace_or_its_reader_declares_it() -> None:
    assert judged(HEAD).worst is Verdict.WASTEFUL
    assert judged(HEAD | {"alignment": 2048}).worst is Verdict.WASTEFUL
    assert judged(HEAD | {"alignment": K4}).conformant
    assert judged(HEAD, K4).conformant
    assert judged(HEAD | {"alignment": 512}, K4).conformant


QMP = (
    {"execute": "query-named-block-nodes", "arguments": {"flat": True}},
    {"return": [{"node-name": "d", "image": {"virtual-size": 64 * K4}}]},
    {"execute": "block-dirty-bitmap-add", "arguments": {"node": "d", "name": "b", "granularity": 512}},
    {"return": {}},
    LINES[1],
    {"execute": "query-named-block-nodes", "arguments": {"flat": True}},
    {"return": [{"node-name": "d", "image": {"virtual-size": 64 * K4}, "dirty-bitmaps": [
        {"name": "b", "count": K4, "granularity": 512, "recording": True, "busy": False}]}]},
)  # fmt: skip


@pytest.mark.parametrize(("alignment", "verdict"), [(None, Verdict.WASTEFUL), (2048, Verdict.WASTEFUL), (K4, None)])
def test_of_a_qmp_log_its_reader_declares_it(alignment: int | None, verdict: Verdict | None) -> None:
    log = "".join(json.dumps(each) + "\n" for each in QMP)
    report = verify(io.BytesIO(log.encode()), Options(guest="recorded", alignment=alignment))
    assert [each.verdict for _, each in report.findings] == ([] if verdict is None else [verdict])
    assert report.counts.looks_judged > 0


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--alignment", "4k"), 0), (("--alignment", "1k"), 1)])
def test_verify_has_an_option_for_it(options: tuple[str, ...], code: int) -> None:
    assert CliRunner().invoke(main, ["verify", *options, "-"], input=text(HEAD)).exit_code == code


@pytest.mark.parametrize("given", ["", "0", "1000", "-1", "many", "4g"])
def test_what_is_no_alignment_is_a_usage_error(given: str) -> None:
    result = CliRunner().invoke(main, ["verify", "--alignment", given, "-"], input=text(HEAD))
    assert result.exit_code == 64
    assert f"--alignment {given}: expected a power of two, as in 4096 or 4k." in result.stderr


def hello(**more: Any) -> Hello:
    return Hello(
        seq=1, protocol=1, name="x", version="1", capabilities=["core"], copies="adapter", granularities=[512],
        clusters=[K4, 65536], **more,
    )  # fmt: skip


def test_an_adapter_declares_it_in_hello() -> None:
    assert capabilities_of(hello()).alignment == 1
    assert capabilities_of(hello(alignment=K4)).alignment == K4
    with pytest.raises(LookupError, match="'alignment' has 1000, which is no power of two"):
        capabilities_of(hello(alignment=1000))
    with pytest.raises(LookupError, match="'alignment' has 8192, and 'clusters' 4096: no cluster may be smaller"):
        capabilities_of(hello(alignment=8192))
