"""The protocol with images: what is sent to whom, how an answer is read, and the example that claims it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cbtcheck.adapter import PERSISTENCE, SeenEntry, SeenImage
from cbtcheck.adapters.exec import ExecAdapter
from cbtcheck.adapters.protocol import lines
from cbtcheck.adapters.protocol import messages as m
from cbtcheck.adapters.protocol.mistakes import ProtocolError
from cbtcheck.adapters.protocol.observation import observation
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.restarts import restarts
from cbtcheck.search.restarts.ground import ONE, Ground, again, restarted
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen

EXAMPLE = Path(__file__).parents[3] / "examples/python-persistent/adapter.py"
ADD = c.AddBitmap("d", "b", 4096)
SEED = 20160121


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (Persist(ADD), b'{"seq":1,"do":"add-bitmap","node":"d","name":"b","granularity":4096,"enabled":true,'
                       b'"persistent":true}\n'),
        (ADD, b'{"seq":1,"do":"add-bitmap","node":"d","name":"b","granularity":4096,"enabled":true,'
              b'"persistent":false}\n'),
        (Open("d"), b'{"seq":1,"do":"open","node":"d","writable":true}\n'),
        (Reopen("d", False), b'{"seq":1,"do":"reopen","node":"d","writable":false}\n'),
        (Close("d"), b'{"seq":1,"do":"close","node":"d"}\n'),
        (Crash(), b'{"seq":1,"do":"crash"}\n'),
    ],
)  # fmt: skip
def test_what_is_sent_to_those_who_claim_it(asked: Any, line: bytes) -> None:
    assert lines.command_line(1, asked, 0, {PERSISTENCE}) == line


def test_everybody_else_gets_the_request_of_version_1() -> None:
    for command in (ADD, c.Transaction((ADD,))):
        assert b"persistent" not in lines.command_line(1, command, 0, {"full"})
    line = lines.request_line(m.Reset(seq=1, block=512, disks=[]))
    assert line == b'{"seq":1,"do":"reset","block":512,"disks":[]}\n'


def seen(**more: Any) -> Any:
    said = msgspec.convert({"seq": 1, "bitmaps": [], **more}, m.SeenState)
    return observation(said, {"d": 32768}, None)[0]


def test_images_are_read() -> None:
    entry = {"name": "b", "granularity": 4096, "enabled": True, "in_use": False, "dirty": [[4096, 4096]]}
    hidden = {name: value for name, value in entry.items() if name != "dirty"}
    assert seen().images is None
    assert seen(images=[{"node": "d", "open": "ro"}]).images == {"d": SeenImage("ro")}
    both = seen(images=[{"node": "d", "open": "", "entries": [entry, {**hidden, "name": "c"}]}]).images
    assert both == {"d": SeenImage("", {"b": SeenEntry(4096, True, False, 2), "c": SeenEntry(4096, True, False)})}
    for wrong, why in [
        ([{"node": "e", "open": "rw"}], "there is no such disk"),
        ([{"node": "d", "open": "rw"}, {"node": "d", "open": "rw"}], "the image of d is there twice"),
        ([{"node": "d", "open": "rw", "entries": [entry, entry]}], "entry b is there twice"),
        ([{"node": "d", "open": "rw", "entries": [{**entry, "dirty": [[1, 2]]}]}], "not of whole granules"),
    ]:
        with pytest.raises(ProtocolError, match=why):
            seen(images=wrong)


def adapter(*mistake: str) -> ExecAdapter:
    return ExecAdapter([sys.executable, str(EXAMPLE), *mistake])


def test_the_example_agrees_with_the_specification() -> None:
    example = adapter()
    player = Player(example)
    try:
        found = restarts(example.capabilities, SEED, 20, 8)
        assert {name: found for name, each in found.items() if (found := player.play_scenario(each))} == {}
        assert not player.not_realised
    finally:
        example.close()


@pytest.mark.parametrize("mistake", ["no-mark", "trusts", "heals", "loses-flag"])
def test_its_mistakes_lose_writes(mistake: str) -> None:
    example = adapter(mistake)
    ground = Ground(example.capabilities)
    stored = (ground.add(), ground.write(1), *again(), ground.write(2))
    try:
        found = Player(example).play_scenario(ground.scenario("x", *stored, *restarted(), *again()))
        assert verdict_of(found) is Verdict.UNSAFE
    finally:
        example.close()


def test_who_does_not_claim_it_is_asked_for_nothing_of_it() -> None:
    minimal = ExecAdapter([sys.executable, str(EXAMPLE.parents[1] / "python-minimal/adapter.py")])
    minimal.close()
    assert restarts(minimal.capabilities, SEED, 5) == {}
    scenario = Ground(minimal.capabilities).scenario("x", Close(ONE))
    assert missing_for(scenario, minimal.capabilities) == PERSISTENCE
