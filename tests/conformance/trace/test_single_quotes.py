"""QEMU takes strings in single quotes, and shell tools write them: they are read wherever messages are."""

import io
import json

import pytest
from cbtcheck.judging.splitter import Splitter
from cbtcheck.trace.quoted import as_json, loads
from cbtcheck.trace.verify import Options, verify

MESSAGES = [
    ("{'execute':'query-jobs'}", {"execute": "query-jobs"}),
    ("{'a':true,'b':[null,1.5]}", {"a": True, "b": [None, 1.5]}),
    ("""{'a':"it's",'b':'say "}"'}""", {"a": "it's", "b": 'say "}"'}),
    (r"""{'a':'it\'s','b':"\"'"}""", {"a": "it's", "b": "\"'"}),
    (r"""{'a':'\\'}""", {"a": "\\"}),
]


@pytest.mark.parametrize(("text", "expected"), MESSAGES)
def test_what_is_in_single_quotes_is_read(text: str, expected: object) -> None:
    assert loads(text) == json.loads(as_json(text)) == expected


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_in_single_quotes_are_told_apart_and_not_changed(size: int) -> None:
    stream = "\n".join(text for text, _ in MESSAGES).encode()
    splitter, pieces = Splitter(), []
    for at in range(0, len(stream), size):
        pieces += splitter.take(stream[at : at + size])
    assert b"".join(each.raw for each in pieces) + splitter.rest() == stream
    assert [each.message for each in pieces if each.message is not None] == [expected for _, expected in MESSAGES]


@pytest.mark.parametrize("text", ["{'a':1", "{'a'}", "{a:1}", "'", "{'a':'b\"}"])
def test_what_is_neither_is_no_message(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_log_in_single_quotes_is_judged(wrapped: bool) -> None:
    listed = [
        "{'execute':'query-named-block-nodes','arguments':{'flat':true}}",
        '{"return":[{"node-name":"n","image":{"virtual-size":1048576}}]}',
        "{'execute':'block-dirty-bitmap-add','arguments':{'node':'n','name':'b','persistent':true}}", '{"return":{}}',
        "{'execute':'block-dirty-bitmap-add','arguments':{'node':'n','name':'b','persistent':true}}", '{"return":{}}',
    ]  # fmt: skip
    text = "".join(f'{{"connection":1,"message":{each}}}\n' if wrapped else f"{each}\n" for each in listed)
    report = verify(io.BytesIO(text.encode()), Options())
    assert [finding.expected[:15] for _, finding in report.findings] == ["refused: exists"]
    assert report.counts.commands == 2
