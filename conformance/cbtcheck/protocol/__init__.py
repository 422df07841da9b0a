"""The adapter protocol, version 1: messages, and the lines that they are (docs/adapter-protocol.md)."""

VERSION = 1
