"""The conformance suite of changed block tracking: scenarios, adapters, judgement, reports, the `cbtspec` command."""
