"""What the suite says of each hostile adapter: the verdict, and words of the message that name the likely mistake.

`agrees` means that the adapter is right, however odd. `page.py` makes a page of this and of the classes.
"""

from __future__ import annotations

from dataclasses import dataclass

SILENT = "flush its standard output"
NUMBERS = "a reply has the seq of its request"
LATER = "in a second scenario"
WHEN_ASKED = "when it is asked for that"


@dataclass(frozen=True)
class Expected:
    """A verdict, words of the message, and when it shows, if that is not in the first scenario that comes.

    `waits`: it is waited for, until the deadline.
    """

    verdict: str
    words: str = ""
    when: str = ""
    waits: bool = False

    @property
    def code(self) -> int:
        """The exit code of `cbtspec`."""
        codes = {"agrees": 0, "wasteful": 1, "diverges": 2, "unsafe": 2, "broken": 3, "not repeatable": 5}
        return codes[self.verdict]


EXPECTED: dict[str, Expected] = {
    # timing
    "never-answers": Expected("broken", SILENT, waits=True),
    "never-reads": Expected("broken", "no answer within 1 s (--deadline)", waits=True),
    "never-flushes": Expected("broken", SILENT, waits=True),
    "goes-silent": Expected("broken", SILENT, waits=True),
    "answers-late": Expected("broken", "no answer within 1 s (--deadline)", waits=True),
    "answers-late-once": Expected("not repeatable", "no answer within 1 s (--deadline)", waits=True),
    "drips": Expected("broken", "half a line within 1 s", waits=True),
    "answers-twice": Expected("broken", "answers twice"),
    "answers-before-it-is-asked": Expected("broken", "answers twice"),
    "speaks-first": Expected("broken", NUMBERS),
    "counts-for-itself": Expected("broken", "request 1 has seq 0"),
    "repeats-a-number": Expected("broken", "an answer to the request before"),
    "out-of-order": Expected("broken", "replies come in the order of requests", "in a batch"),
    "lives-on": Expected("agrees"),
    # lines
    "garbage": Expected("broken", "print logs to standard error"),
    "logs-to-standard-output": Expected("broken", "print logs to standard error"),
    "half-a-line": Expected("broken", "half a line", waits=True),
    "half-a-line-and-gone": Expected("broken", "exited with code 1, without an answer, within a line"),
    "no-end-of-line": Expected("broken", "flush after a newline", waits=True),
    "hundred-megabytes": Expected("broken", "a line of more than 16777216 bytes"),
    "floods-standard-output": Expected("broken", "a reply without seq"),
    "floods-standard-output-with-nothing": Expected("broken", "an empty line where a reply should be"),
    "floods-standard-error": Expected("agrees"),
    "floods-standard-error-for-ever": Expected("broken", "no answer within", waits=True),
    "two-on-a-line": Expected("broken", "more than one reply on a line"),
    "pretty-printed": Expected("broken", "write it without newlines inside"),
    "carriage-returns": Expected("agrees"),
    "byte-order-mark": Expected("broken", "a byte order mark"),
    "utf16": Expected("broken", "write UTF-8"),
    "invalid-utf8": Expected("broken", "not UTF-8 (at byte 3"),
    "nul-bytes": Expected("broken", "a NUL byte"),
    "empty-lines": Expected("broken", "no empty ones between"),
    "deeply-nested": Expected("broken", "nested too deeply"),
    "duplicate-keys": Expected("broken", '"error" twice'),
    "not-an-object": Expected("broken", "a reply is a JSON object"),
    "not-a-number": Expected("broken", "NaN, which is no JSON"),
    "huge-numbers": Expected("broken", "a number of 1001 digits"),
    "beyond-the-largest-offset": Expected("broken", "beyond the end of the disk"),
    "numbers-as-text": Expected("broken", "a seq that is no integer"),
    "wrong-types": Expected("broken", "a list of [offset, length]"),
    "misspelt-member": Expected("broken", "did you mean 'error'?"),
    "unknown-error": Expected("broken", "did you mean 'busy'?"),
    "nothing-seen": Expected("broken", "an empty list if there is nothing"),
    "other-names-for-things": Expected("broken", "did you mean 'node'?"),
    "millions-of-extents": Expected("unsafe", "NO-LOST-WRITE"),
    # processes
    "dies-at-start": Expected("broken", "cannot open shared object file"),
    "dies-after-hello": Expected("broken", "exited with code 1, without an answer"),
    "dies-in-the-middle": Expected("broken", "assertion failed: granule < count"),
    "segmentation-fault": Expected("broken", "SIGSEGV"),
    "leaves-in-the-middle": Expected("broken", "exited with code 0, without an answer"),
    "answers-and-dies": Expected("broken", "exited with code 1, without an answer"),
    "closes-its-output": Expected("broken", "closed its standard output, and lives on"),
    "closes-its-input": Expected("broken", "asked to reset", waits=True),
    "stops-itself": Expected("broken", "stopped (SIGSTOP)", waits=True),
    "ignores-termination": Expected("broken", "no answer within", waits=True),
    "leaves-a-grandchild": Expected("agrees"),
    "leaves-a-daemon": Expected("agrees"),
    "leaves-an-orphan": Expected("agrees"),
    "dies-and-leaves-a-daemon": Expected("broken", "assertion failed: granule < count"),
    "forks": Expected("broken", "asked to write", waits=True),
    "eats-memory": Expected("broken", "of memory, and may have 200 (--memory)"),
    "kills-its-process-group": Expected("broken", "SIGKILL"),
    # lies
    "right": Expected("agrees"),
    "right-and-copies": Expected("agrees"),
    "newer-protocol": Expected("broken", "another version of the protocol than 1: 2"),
    "unknown-capability": Expected("broken", "unknown capability 'snapshots'"),
    "no-capabilities": Expected("broken", "$.capabilities"),
    "no-granularities": Expected("broken", "$.granularities"),
    "impossible-granularity": Expected("broken", "1000, which is no power of two"),
    "claims-too-much": Expected("diverges", "unsupported", WHEN_ASKED),
    "changes-its-mind": Expected("broken", "it says another hello than at first", LATER),
    "says-done": Expected("diverges", "expected refused: exists"),
    "says-done-and-does-nothing": Expected("diverges", "seen no such bitmap"),
    "refuses-all": Expected("diverges", "seen refused: busy: try again later"),
    "fails-at-all": Expected("diverges", "seen refused: internal: NullPointerException"),
    "nothing-can-be-made-to-happen": Expected("agrees", "could not be made to happen"),
    "replays": Expected("unsafe", "", LATER),
    "records": Expected("agrees"),
    "resets-itself": Expected("unsafe", "seen no such bitmap"),
    "forgets-a-bitmap": Expected("unsafe", "seen no such bitmap"),
    "works-once": Expected("diverges", "expected accepted; seen refused: exists", LATER),
    "loses-the-last-granule": Expected("unsafe", "NO-LOST-WRITE"),
    "loses-writes-during-a-backup": Expected("unsafe", "NO-LOST-WRITE"),
    "forgets-after-a-failure": Expected("unsafe", "NO-LOST-WRITE"),
    "coarser-than-it-says": Expected("wasteful", "EXACT"),
    "marks-everything": Expected("wasteful", "EXACT"),
    "beyond-the-disk": Expected("broken", "beyond the end of the disk"),
    "parts-of-granules": Expected("broken", "neither granule numbers nor the bytes that were written"),
    "says-it-twice": Expected("broken", "disk0/b0 is there twice"),
    "throws-dice": Expected("unsafe", "NO-LOST-WRITE", "sooner or later"),
    "refuses-and-does-it": Expected("unsafe", "NO-LOST-WRITE"),
    "never-sure": Expected("agrees"),
    "not-sure-and-half-done": Expected("wasteful", "EXACT"),
    "copies-too-late": Expected("unsafe", "POINT-IN-TIME"),
    "cancelled-is-completed": Expected("unsafe", "DELIVERED"),
    "changes-another-history": Expected("broken", "a Write that was not asked for"),
}
