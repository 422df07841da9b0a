"""Chains of backups in logs in which QEMU is started again: what they give, who is to blame, what is undecided."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from cbtcheck.follow import chain_words
from cbtcheck.trace import restarted
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify

K64 = 65536
SIZE = 8 * K64
OK: dict[str, Any] = {"return": {}}
Messages = list[dict[str, Any]]


def sent(execute: str, /, **arguments: Any) -> Messages:
    named = {name.replace("_", "-"): value for name, value in arguments.items()}
    return [{"execute": execute, "arguments": named}, OK]


def refused(messages: Messages, text: str) -> Messages:
    return [messages[0], {"error": {"class": "GenericError", "desc": text}}]


HELLO = sent("qmp_capabilities")
QUIT = [*sent("quit"), {"event": "SHUTDOWN", "data": {}}]
KILLED: Messages = []


def add(name: str = "b", node: str = "d", persistent: bool = True) -> dict[str, Any]:
    return {"node": node, "name": name, "granularity": K64, **({"persistent": True} if persistent else {})}


def backup(job: str, sync: str = "full", node: str = "d", **more: Any) -> dict[str, Any]:
    return {"job-id": job, "device": node, "target": f"t-{job}", "sync": sync, **more}


def over(job: str, how: str = "COMPLETED") -> Messages:
    return [{"event": f"BLOCK_JOB_{how}", "data": {"device": job, "type": "backup"}}]


def transaction(*actions: tuple[str, dict[str, Any]]) -> Messages:
    return sent("transaction", actions=[{"type": kind, "data": data} for kind, data in actions])


def started(persistent: bool = True, node: str = "d") -> Messages:
    return added_with(add(node=node, persistent=persistent), backup("full", node=node))


def added_with(bitmap: dict[str, Any], full: dict[str, Any]) -> Messages:
    return [*transaction(("block-dirty-bitmap-add", bitmap), ("blockdev-backup", full)), *over(full["job-id"])]


def increment(job: str, bitmap: str = "b", node: str = "d") -> Messages:
    return [*sent("blockdev-backup", **backup(job, "incremental", node, bitmap=bitmap)), *over(job)]


def full(job: str = "again") -> Messages:
    return [*sent("blockdev-backup", **backup(job)), *over(job)]


def on(what: str, name: str = "b", node: str = "d") -> Messages:
    return sent(f"block-dirty-bitmap-{what}", node=node, name=name)


def look(*bitmaps: dict[str, Any], file: str = "/d.qcow2", size: int = SIZE, node: str = "d") -> Messages:
    shown = {"node-name": node, "file": file, "image": {"virtual-size": size, "cluster-size": K64}}
    return [{"execute": "query-named-block-nodes"}, {"return": [shown | {"dirty-bitmaps": list(bitmaps)}]}]


def bitmap(count: int = 0, name: str = "b", **more: Any) -> dict[str, Any]:
    return {"name": name, "count": count * K64, "granularity": K64, "recording": True, "busy": False,
            "persistent": True, **more}  # fmt: skip


INCONSISTENT = bitmap(inconsistent=True, recording=False)
REFUSED = refused(increment("inc")[:2], "Bitmap 'b' is inconsistent and cannot be used")


def judged(*parts: Messages, guest: str | None = None) -> TraceReport:
    text = "".join(json.dumps(each) + "\n" for part in parts for each in part)
    return verify(io.BytesIO(text.encode()), Options(guest=guest))


def gives(*parts: Messages, guest: str | None = None) -> list[tuple[str, str]]:
    report = judged(*parts, guest=guest)
    assert not report.findings
    return [(row.job, row.gives) for table, _ in report.tables for row in table.rows]


def blame(*parts: Messages, guest: str | None = None) -> list[str]:
    """Of what is lost: why, and whose command it was."""
    report = judged(*parts, guest=guest)
    return [f"{each.why}: {each.blame}" for table, _ in report.tables for row in table.rows for each in row.lost]


BEFORE = [*HELLO, *look(), *started(), *increment("i1")]
RIGHT = [("full", "restores"), ("i1", "restores")]


@pytest.mark.parametrize("end", [QUIT, KILLED], ids=["quit", "unknown"])
@pytest.mark.parametrize("seen", [[], look(bitmap(1))], ids=["unseen", "seen"])
def test_a_bitmap_that_came_through_a_restart_goes_on_and_so_does_the_chain(end: Messages, seen: Messages) -> None:
    report = judged(BEFORE, end, HELLO, seen, increment("i2"))
    [(table, _)] = report.tables
    assert [(row.job, row.gives, row.stacks_on) for row in table.rows] == [
        ("full", "restores", ()), ("i1", "restores", ("1",)), ("i2", "restores", ("2",)),
    ]  # fmt: skip
    assert report.restores is True


@pytest.mark.parametrize("evidence", [look(INCONSISTENT), REFUSED], ids=["seen", "refused"])
def test_killed_and_a_new_full_backup_restores(evidence: Messages) -> None:
    anew = [*on("remove"), *added_with(add(), backup("again"))]
    found = gives(BEFORE, KILLED, HELLO, evidence, anew, increment("i2"))
    assert found == [*RIGHT, ("again", "restores"), ("i2", "restores")]


@pytest.mark.parametrize("evidence", [look(INCONSISTENT), REFUSED], ids=["seen", "refused"])
def test_killed_and_added_again_does_not_restore_and_what_was_done_is_named(evidence: Messages) -> None:
    line = len(BEFORE) + 1
    parts = BEFORE, KILLED, HELLO, evidence, on("remove"), sent("block-dirty-bitmap-add", **add()), increment("i2")
    assert gives(*parts) == [*RIGHT, ("i2", "perhaps")]
    again = line + 2 + len(evidence) + 2 + 1
    assert blame(*parts) == [
        f"d/b was left in use, so QEMU had been killed, and added again in line {again}: "
        f"line {line} (a session begins)"
    ]  # fmt: skip
    assert judged(*parts).restores is False


def test_removed_before_anybody_looked_is_said_as_it_is() -> None:
    parts = BEFORE, HELLO, on("remove"), sent("block-dirty-bitmap-add", **add()), increment("i2")
    assert gives(*parts) == [*RIGHT, ("i2", "perhaps")]
    [said] = blame(*parts)
    assert said.startswith("d/b was removed, and perhaps not to be trusted since line")


@pytest.mark.parametrize("seen", [[], look()], ids=["unseen", "seen"])
def test_a_bitmap_that_was_not_stored_is_gone_with_a_quit(seen: Messages) -> None:
    before = [*HELLO, *look(), *started(persistent=False)]
    parts = before, QUIT, HELLO, seen, sent("block-dirty-bitmap-add", **add(persistent=False)), increment("i1")
    assert gives(*parts) == [("full", "restores"), ("i1", "perhaps")]
    again = len(before) + len(QUIT) + 2 + len(seen) + 2
    assert blame(*parts) == [
        f"d/b was not to be stored, and gone with the quit, and added again in line {again}: "
        f"line {len(before) + 2} (quit)"
    ]
    right = added_with(add(), backup("again"))
    assert gives(before, QUIT, HELLO, seen, right, increment("i1"))[1:] == [("again", "restores"), ("i1", "restores")]


def test_a_bitmap_that_is_used_when_a_client_connects_anew_was_there_all_the_time() -> None:
    """Although it is not to be stored: so QEMU was not started again."""
    assert gives(HELLO, look(), started(persistent=False), HELLO, increment("i1")) == [
        ("full", "restores"), ("i1", "restores"),
    ]  # fmt: skip


def test_what_was_added_by_somebody_who_is_not_in_the_log_is_undecided() -> None:
    report = judged(HELLO, look(), started(persistent=False), QUIT, HELLO, increment("i1"))
    [(table, _)] = report.tables
    assert [row.gives for row in table.rows] == ["restores", "undecided"]
    assert report.restores is None
    assert any("when d/b was added again" in each for each in table.unknown)


def test_a_job_whose_end_is_not_in_the_log_leaves_what_comes_after_it_undecided() -> None:
    """Unless there is a full backup again, and not what another bitmap gives."""
    start = increment("i2")[:2]
    parts = BEFORE, start, HELLO, increment("i3")
    report = judged(*parts)
    [(table, _)] = report.tables
    assert [(row.job, row.gives) for row in table.rows] == [*RIGHT, ("i3", "undecided")]
    line = len(BEFORE) + len(start) + 1
    assert table.unknown == (
        f"Not in this history: how i2, with d/b, ended: line {line} (a session begins); "
        "to tell, record events until it has ended (BLOCK_JOB_COMPLETED)",
    )
    after = judged(*parts, full(), increment("i4")).tables[0][0]
    assert [row.gives for row in after.rows] == ["restores", "restores", "undecided", "restores", "restores"]


def test_a_job_that_ends_when_a_client_has_connected_anew_is_followed_to_its_end() -> None:
    start = increment("i2")[:2]
    found = gives(BEFORE, start, HELLO, over("i2"), increment("i3"))
    assert found == [*RIGHT, ("i2", "restores"), ("i3", "restores")]
    killed = gives(BEFORE, start, HELLO, look(INCONSISTENT), full())
    assert killed == [*RIGHT, ("again", "restores")]


def test_a_backup_that_was_killed_is_gone() -> None:
    """A full one, too, although it has no bitmap: that another one is inconsistent tells that QEMU was killed."""
    for start, job in ((full("new")[:2], "new"), (increment("i2")[:2], "i2")):
        report = judged(BEFORE, start, HELLO, look(INCONSISTENT), full())
        [(table, _)] = report.tables
        assert [(each.job, each.outcome) for each in table.failed] == [(job, "gone")]
        assert [(row.job, row.gives) for row in table.rows] == [*RIGHT, ("again", "restores")]


def test_a_full_backup_whose_end_is_not_in_the_log_may_have_been_one() -> None:
    found = gives(HELLO, look(), started()[:2], HELLO, increment("i1"))
    assert found == [("full", "undecided"), ("i1", "undecided")]


def test_a_clear_without_a_reply_is_undecided() -> None:
    report = judged(BEFORE, on("clear")[:1], HELLO, increment("i2"))
    assert [row.gives for row in report.tables[0][0].rows] == ["restores", "restores", "undecided"]


def test_several_disks_are_judged_each_by_itself() -> None:
    two = [*started(node="d"), *started(node="e")]
    seen = [*look(INCONSISTENT), *look(bitmap(), node="e", file="/e.qcow2")]
    again = sent("block-dirty-bitmap-add", **add())
    found = gives(
        HELLO, look(), look(node="e", file="/e.qcow2"), two, HELLO, seen, on("remove"), again,
        increment("i"), increment("k", node="e"),
    )  # fmt: skip
    assert found == [("full", "restores"), ("full", "restores"), ("i", "perhaps"), ("k", "restores")]


def test_an_image_that_was_open_read_only_in_between_keeps_its_bitmaps() -> None:
    text = "Bitmap 'b' is readonly and cannot be modified"
    read_only = [*HELLO, *look(bitmap()), *refused(on("clear"), text), *refused(increment("no")[:2], text)]
    assert gives(BEFORE, QUIT, read_only, QUIT, HELLO, increment("i2")) == [*RIGHT, ("i2", "restores")]


CLOSE, OPEN = sent("blockdev-del", node_name="d"), sent("blockdev-add", node_name="d", driver="qcow2")


def test_a_disk_that_is_closed_and_opened_keeps_what_is_stored() -> None:
    assert gives(BEFORE, CLOSE, OPEN, increment("i2")) == [*RIGHT, ("i2", "restores")]
    plain = [*HELLO, *look(), *started(persistent=False)]
    anew = sent("block-dirty-bitmap-add", **add())
    parts = plain, CLOSE, OPEN, anew, increment("i1")
    assert gives(*parts) == [("full", "restores"), ("i1", "perhaps")]
    assert "gone with the blockdev-del" in blame(*parts)[0]


def test_another_disk_of_the_same_name_is_held_against_nothing() -> None:
    anew = sent("block-dirty-bitmap-add", **add())
    parts = BEFORE, QUIT, HELLO, look(file="/other.qcow2"), anew, increment("i2")
    assert gives(*parts) == [*RIGHT, ("i2", "assumed")]
    later = BEFORE, QUIT, HELLO, anew, increment("i2"), look(bitmap(), file="/other.qcow2")
    assert gives(*later) == [*RIGHT, ("i2", "assumed")], "the survey knows"


def of_libvirt(messages: Messages) -> str:
    lines = []
    for each in messages:
        kind = "SEND_MSG" if "execute" in each else "RECV_EVENT" if "event" in each else "RECV_REPLY"
        member = {"SEND_MSG": "msg", "RECV_EVENT": "event", "RECV_REPLY": "reply"}[kind]
        lines.append(f"info : x:1 : QEMU_MONITOR_{kind}: mon=0x7f01 {member}={json.dumps(each)}\n")
    return "".join(lines)


def test_addresses_are_monitors_of_other_machines_unless_a_file_is_the_same() -> None:
    anew = [*sent("block-dirty-bitmap-add", **add()), *increment("i2")]
    for file, expected in (("/d.qcow2", "perhaps"), ("/of-another.qcow2", "assumed")):
        text = of_libvirt([*BEFORE, *HELLO, *look(file=file), *anew])
        report = verify(io.BytesIO(text.encode()), Options())
        assert [row.gives for table, _ in report.tables for row in table.rows] == ["restores", "restores", expected]


def test_what_is_in_doubt_of_another_machine_is_of_its_own_backups() -> None:
    """A second machine at the same address: QEMU is killed there, and a bitmap that was not stored is added again."""
    other = "/of-another.qcow2"
    second = [*HELLO, *look(file=other), *started(persistent=False), *increment("i1")]
    killed = [*HELLO, *look(file=other), *sent("block-dirty-bitmap-add", **add()), *increment("i2")]
    report = verify(io.BytesIO(of_libvirt([*BEFORE, *second, *killed]).encode()), Options())
    found = [[(row.job, row.gives) for row in table.rows] for table, _ in report.tables]
    assert found == [RIGHT, [*RIGHT, ("i2", "perhaps")]]
    whys = [each.why for table, _ in report.tables for row in table.rows for each in row.lost]
    assert whys == ["d/b was not there any more, and added again in line 26"]


def guest(offset: int) -> Messages:
    return [{"do": "write", "node": "d", "offset": offset, "length": 512}]


def test_with_the_guests_writes_a_loss_is_certain_and_its_blocks_are_named() -> None:
    before = [*HELLO, *look(), *started(), *guest(0), *increment("i1"), *guest(2 * K64)]
    for end in (QUIT, KILLED):
        found = gives(before, end, HELLO, look(bitmap(1)), increment("i2"), guest="recorded")
        assert found == [*RIGHT, ("i2", "restores")]
    again = [*look(INCONSISTENT), *on("remove"), *sent("block-dirty-bitmap-add", **add())]
    parts = before, HELLO, again, guest(4 * K64), increment("i2")
    assert gives(*parts, guest="recorded") == [*RIGHT, ("i2", "does not restore")]
    [(table, session)] = judged(*parts, guest="recorded").tables
    assert [session.named(each.certain) for each in table.rows[2].lost] == ["128K+512"]


def test_a_long_row_of_sessions_is_one_table() -> None:
    days = [HELLO + look(bitmap()) + increment(f"i{n}") + QUIT for n in range(30)]
    report = judged(BEFORE, QUIT, *days)
    assert len(report.tables) == 1
    assert report.restores is True


AGAIN = sent("block-dirty-bitmap-add", **add())
MISTAKES: dict[str, tuple[Messages, ...]] = {
    "take": (BEFORE, HELLO, look(INCONSISTENT), on("remove"), AGAIN, increment("i2")),
    "cancel": (BEFORE, increment("i2")[:2], HELLO, increment("i3")),
    "lose": (BEFORE, full("gone")[:2], HELLO, look(INCONSISTENT), full("gone")),
    "another_disk": (BEFORE, QUIT, HELLO, look(file="/other.qcow2"), AGAIN, increment("i2")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_restart_that_does_nothing_to_chains_is_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def said() -> list[Any]:
        return [list(chain_words.lines(table)) for table, _ in judged(*MISTAKES[mistake]).tables]

    right = said()
    monkeypatch.setattr(restarted, mistake, lambda *_: None)
    assert said() != right
