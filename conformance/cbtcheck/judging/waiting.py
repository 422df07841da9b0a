"""Waiting with a deadline that is stretched on a busy machine (see `cbtcheck.host.pace`)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from cbtcheck.host.pace import Patience

T = TypeVar("T")


async def comes(awaited: asyncio.Future[Any], seconds: float) -> bool:
    """Whether it comes to its end within so many seconds of an idle machine; else it goes on."""
    patience = Patience(seconds)
    while not awaited.done():
        await asyncio.wait([awaited], timeout=patience.step())
        if not awaited.done() and patience.expired():
            return awaited.done()
    return True


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What comes of it; `TimeoutError` if it takes longer, and then it is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        if not await comes(task, seconds):
            raise TimeoutError
        return await task
    finally:
        task.cancel()
