"""What a program has printed before it died: kept from both ends, saved whole, and shown where it says why."""

from cbtcheck.adapter import AdapterBroken
from cbtcheck.follow.play import last_words
from cbtcheck.host.printed_output import Kept, telling_lines

WARNING = "qemu-storage-daemon: warning: block size"
ASSERTION = "qemu-storage-daemon: ../block/backup.c:12: backup_do_cow: Assertion `!job' failed."


def test_the_line_that_says_why_is_shown_wherever_it_is() -> None:
    output = "\n".join([WARNING, WARNING, ASSERTION, "frame 1", "frame 2", "frame 3", *[WARNING] * 9])
    assert telling_lines(output) == [ASSERTION, "frame 1", "frame 2"]
    said = last_words(AdapterBroken("crash: signal 6", output))
    assert said == f"crash: signal 6 | {ASSERTION} | frame 1 | frame 2"


def test_without_such_a_line_the_first_and_the_last_are_shown() -> None:
    assert telling_lines("one\ntwo\nthree\nfour\nfive") == ["one", "four", "five"]
    assert telling_lines("one\none\n\n") == ["one"]
    assert telling_lines("") == []


def test_of_a_long_output_both_ends_are_kept() -> None:
    kept = Kept(100)
    for number in range(10_000):
        kept.add(b"%d\n" % number)
    lines = kept.text.splitlines()
    assert lines[:3] == ["0", "1", "2"]
    assert lines[-1] == "9999"
    assert any("bytes are left out" in each for each in lines)
    assert len(kept.text) < 400


def test_a_short_output_is_kept_whole() -> None:
    kept = Kept(100)
    for _ in range(20):
        kept.add(b"0123456789")
    assert kept.text == "0123456789" * 20
