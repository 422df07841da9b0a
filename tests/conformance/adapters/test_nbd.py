"""The NBD server and client, against each other: no QEMU needed."""

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cbtwire.nbd import wire
from cbtwire.nbd.client import DiskClient, NbdDisconnected, NbdError, NbdRefused
from cbtwire.nbd.disk import Disk, Request
from cbtwire.nbd.server import DiskServer

SIZE = 1 << 20
Scenario = Callable[[DiskServer, Disk, DiskClient], Awaitable[None]]


def play(directory: Path, scenario: Scenario) -> None:
    async def body() -> None:
        server = await DiskServer.start(str(directory / "socket"))
        disk = server.add_export("disk", SIZE)
        client = await DiskClient.connect(server.socket_path, "disk")
        try:
            await scenario(server, disk, client)
            assert server.handler_error is None
        finally:
            await client.close()
            await server.close()
        assert not Path(server.socket_path).exists()

    asyncio.run(asyncio.wait_for(body(), 20))


async def arrived(held: list[Request], count: int) -> None:
    while len(held) < count:
        await asyncio.sleep(0)


def test_everything_lands_at_once_without_a_handler(tmp_path: Path) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        assert client.size == SIZE
        await client.write(1000, b"abc" * 1000)
        assert await client.read(999, 5) == b"\0abca"
        await client.zeroes(1001, 1)
        await client.trim(1002, 1)
        await client.flush()
        assert disk.content.read(1000, 4) == b"a\0\0a"
        assert disk.counts == {"read": 1, "write": 1, "zeroes": 1, "trim": 1, "flush": 1}

    play(tmp_path, scenario)


def test_a_payload_longer_than_the_buffers_survives_in_both_directions(tmp_path: Path) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        data = bytes(range(256)) * (SIZE // 256)
        writes = [client.write(0, data), client.write(5, b"x"), client.write(0, data)]
        assert await asyncio.gather(*writes, client.read(0, SIZE)) == [None, None, None, data]

    play(tmp_path, scenario)


def test_requests_complete_in_any_order_and_land_only_then(tmp_path: Path) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        held: list[Request] = []
        disk.handler = held.append
        first, read, second = client.write(0, b"1"), client.read(0, 2), client.write(1, b"2")
        await arrived(held, 3)
        assert [request.kind for request in held] == ["write", "read", "write"]
        assert [request.sequence for request in held] == [1, 2, 3]
        assert disk.content.read(0, 2) == b"\0\0"
        held[2].complete()
        await second
        assert not first.done()
        held[1].complete()
        assert await read == b"\0" + b"2"
        held[0].complete()
        await first
        assert disk.content.read(0, 2) == b"12"
        with pytest.raises(RuntimeError, match="settled twice"):
            held[0].complete()

    play(tmp_path, scenario)


def test_a_failure_may_or_may_not_land(tmp_path: Path) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        disk.handler = lambda request: request.fail(errno.ENOSPC, land=request.offset == 0)
        for offset in (0, 1):
            with pytest.raises(NbdError) as refused:
                await client.write(offset, b"x")
            assert refused.value.errno == errno.ENOSPC
        assert disk.content.read(0, 2) == b"x\0"
        with pytest.raises(NbdError):
            await client.read(0, 512)

    play(tmp_path, scenario)


def test_landing_and_replying_are_two_steps(tmp_path: Path) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        held: list[Request] = []
        disk.handler = held.append
        write = client.write(0, b"old")
        await arrived(held, 1)
        held[0].land()
        disk.content.write(0, b"new")
        held[0].complete()
        await write
        assert disk.content.read(0, 3) == b"new", "a request lands once"

    play(tmp_path, scenario)


def test_pending_requests_die_with_their_connection(tmp_path: Path) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        held: list[Request] = []
        dead: list[Request] = []
        disk.handler, disk.on_dead = held.append, dead.append
        write = client.write(0, b"x")
        await arrived(held, 1)
        await client.close()
        await arrived(dead, 1)
        with pytest.raises(NbdDisconnected):
            await write
        with pytest.raises(NbdDisconnected):
            client.write(0, b"x")
        held[0].complete()
        assert held[0].dead
        assert disk.content.read(0, 1) == b"\0"

    play(tmp_path, scenario)


@pytest.mark.parametrize(("offset", "length"), [(SIZE - 1, 2), (SIZE, 1), (1 << 63, 1), (0, 0)])
def test_a_range_outside_the_disk_is_refused(tmp_path: Path, offset: int, length: int) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        with pytest.raises(NbdError) as refused:
            await client.zeroes(offset, length)
        assert refused.value.errno == errno.EINVAL
        assert disk.size == SIZE

    play(tmp_path, scenario)


def test_a_handler_that_raises_is_kept_and_answered(tmp_path: Path) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        def broken(request: Request) -> None:
            raise LookupError("a bug of ours")

        disk.handler = broken
        with pytest.raises(NbdError):
            await client.write(0, b"x")
        assert isinstance(server.handler_error, LookupError)
        server.handler_error = None

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff" * 64,
        wire.CLIENT_FLAGS.pack(3) + b"\xff" * 64,
        wire.CLIENT_FLAGS.pack(3) + wire.OPTION_HEADER.pack(wire.OPTION_MAGIC, wire.OPTION_GO, 1 << 30),
        wire.CLIENT_FLAGS.pack(3) + wire.option_request(wire.OPTION_EXPORT_NAME, b"disk") + b"\xff" * 64,
        wire.CLIENT_FLAGS.pack(3) + wire.option_request(wire.OPTION_EXPORT_NAME, b"\xff"),
    ],
)
def test_a_malformed_peer_loses_its_own_connection_only(tmp_path: Path, nonsense: bytes) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        reader, writer = await asyncio.open_unix_connection(server.socket_path)
        writer.write(nonsense)
        with contextlib.suppress(ConnectionError):
            await reader.read()  # returns at the end of the connection
        writer.close()
        await client.write(0, b"x")

    play(tmp_path, scenario)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\xff", wire.counted_text("disk"), wire.counted_text("disk") + b"\0\2"])
def test_a_malformed_option_is_refused_and_the_talk_goes_on(tmp_path: Path, data: bytes) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        reader, writer = await asyncio.open_unix_connection(server.socket_path)
        await reader.readexactly(wire.GREETING.size)
        writer.write(wire.CLIENT_FLAGS.pack(3) + wire.option_request(wire.OPTION_GO, data))
        answer = wire.OPTION_REPLY_HEADER.unpack(await reader.readexactly(wire.OPTION_REPLY_HEADER.size))
        assert answer[2] == wire.REPLY_ERROR_INVALID
        writer.close()

    play(tmp_path, scenario)


def test_an_unknown_export_or_context_is_refused(tmp_path: Path) -> None:
    async def scenario(server: DiskServer, disk: Disk, client: DiskClient) -> None:
        with pytest.raises(NbdRefused, match="no export 'other'"):
            await DiskClient.connect(server.socket_path, "other")
        with pytest.raises(NbdRefused):
            await DiskClient.connect(server.socket_path, "disk", ["base:allocation"])

    play(tmp_path, scenario)
