"""The adapter protocol, version 1: messages, and the lines that they are (docs/use/adapter-protocol.md)."""

VERSION = 1
