"""Static test vectors: what the specification expects, written down for people who do not run it.

`written` plays a scenario on the specification and writes down every expectation; `groups` says which scenarios;
`format` reads files of vectors back; `folder` is where they are.
"""
