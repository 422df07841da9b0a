"""What `qemu-img` does to an image that nobody has open."""

from __future__ import annotations

import asyncio

from cbtcheck.crash.history import Step


async def version(qemu_img: str) -> str:
    """What it says of its version, in a line; "" if it says nothing, or cannot be started."""
    try:
        process = await asyncio.create_subprocess_exec(
            qemu_img, "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return ""
    said, _ = await process.communicate()
    lines = said.decode(errors="replace").splitlines()
    return lines[0] if lines and process.returncode == 0 else ""


async def change(qemu_img: str, step: Step, socket: str, discard: str) -> str:
    """Does the step to the export `image` of the server at `socket`; returns why it was refused, "" if it was not."""
    file = f"file.driver=nbd,file.server.type=unix,file.server.path={socket},file.export=image"
    options = f"driver=qcow2,{file},file.discard={discard},discard={discard}"
    if step.action == "check":
        words = ["check", "-q", "-r", "all", "--image-opts", options]
    else:
        words = ["bitmap", f"--{step.action}"]
        words += [step.source] if step.action == "merge" else []
        words += ["--disable"] if step.action == "add" and not step.enabled else []
        words += ["--image-opts", options, step.name]
    process = await asyncio.create_subprocess_exec(
        qemu_img, *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    if process.returncode == 0:
        return ""
    told = said.decode(errors="replace").strip().splitlines()
    return told[0] if told else f"exit code {process.returncode}"
