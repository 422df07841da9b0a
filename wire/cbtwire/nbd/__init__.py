"""The NBD protocol, as server and as client, with every request under the suite's control."""
