"""A client's end of a connection to a run: through its socket here, or through a command (ssh) to one elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from engine.errors import RunnerError
from engine.events import MOST_BYTES, PROTOCOL, AnyCommand, AnyEvent, Hello, Message, Progress, decode, encode
from engine.folders import read_link

_CHUNK = 1 << 16
_NOISE = 1 << 20


class Link:
    """One open connection, past its `hello`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        process: asyncio.subprocess.Process | None = None,
    ) -> None:
        """Args: reader, writer: its two directions. process: the command behind them, if any."""
        self._reader, self._writer, self._process = reader, writer, process
        self._rest = b""
        self.hello: Hello | None = None

    async def greet(self, *, patience: float) -> Hello:
        """Waits for the `hello`; whatever comes before it (a login message, a warning of ssh) is passed over.

        Raises:
            RunnerError: it does not come, or speaks another protocol.
        """
        noise = b""
        try:
            async with asyncio.timeout(patience):
                while self.hello is None:
                    data = await self._reader.read(_CHUNK)
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    for index, line in enumerate(lines):
                        if isinstance(message := _decoded(line), Hello):
                            self.hello = message
                            self._rest = b"\n".join([*lines[index + 1 :], self._rest])
                            break
                        noise += line + b"\n"
                    if self.hello is None and (not data or len(noise) + len(self._rest) > _NOISE):
                        raise ConnectionError
        except (OSError, TimeoutError):
            words = (await self._complaint() or noise.decode("utf-8", "replace")).strip()
            raise RunnerError(
                "the run does not answer" + (f": {words.splitlines()[-1][:300]}" if words else ""),
                todo="Try the same command in a terminal.",
            ) from None
        if self.hello.protocol != PROTOCOL:
            raise RunnerError(
                f"the run speaks protocol {self.hello.protocol} (prune-tui {self.hello.version}), this is {PROTOCOL}",
                where=self.hello.run,
                todo="Install the same version on both sides.",
            )
        return self.hello

    async def send(self, command: AnyCommand) -> None:
        """Says one thing.

        Raises:
            OSError: the link is gone.
        """
        self._writer.write(encode(command))
        await self._writer.drain()

    async def batches(self) -> AsyncIterator[list[AnyEvent | Progress]]:
        """Messages as they come, several at a time; ends with the connection."""
        while True:
            *lines, self._rest = self._rest.split(b"\n")
            messages = [m for line in lines if (m := _decoded(line)) is not None and not isinstance(m, Hello)]
            if messages:
                yield messages
                await asyncio.sleep(0)  # a full buffer would never let anyone else in
            if len(self._rest) > 2 * MOST_BYTES:
                return
            try:
                data = await self._reader.read(_CHUNK)
            except OSError:
                return
            if not data:
                return
            self._rest += data

    async def close(self) -> None:
        """Ends it."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        if self._process is not None:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, TimeoutError):
                    async with asyncio.timeout(1):  # what was said last still has to get there
                        await self._process.wait()
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
            await self._process.wait()
            self._process._transport.close()  # type: ignore[attr-defined]

    async def _complaint(self) -> str:
        """What the command said on its error channel."""
        if self._process is None or self._process.stderr is None:
            return ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                return (await self._process.stderr.read(_CHUNK)).decode("utf-8", "replace")
        return ""


async def near(folder: Path) -> Link | None:
    """A connection to the worker of a run's folder; None while there is none to be had."""
    told = read_link(folder)
    if told is None:
        return None
    try:
        link = Link(*await asyncio.open_unix_connection(told.socket))
    except OSError:
        return None
    try:
        await link.greet(patience=10)
    except BaseException as error:
        await link.close()
        if isinstance(error, RunnerError) and link.hello is None:
            return None
        raise
    return link


async def far(command: Sequence[str], *, patience: float = 60.0) -> Link:
    """A connection through a command whose input and output are the run's socket.

    Raises:
        RunnerError: it cannot be started, or does not bring a run's `hello`.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        raise RunnerError(f"{command[0]} cannot be started: {error.strerror}") from None
    assert process.stdout is not None
    assert process.stdin is not None
    link = Link(process.stdout, process.stdin, process)
    try:
        await link.greet(patience=patience)
    except BaseException:
        await link.close()
        raise
    return link


def ssh(host: str, run: str, *, runs: str | None = None, program: str = "prune-tui") -> list[str]:
    """The command that reaches a run on another machine: `ssh -o BatchMode=yes host prune-tui relay RUN`.

    Raises:
        RunnerError: the host's name would be read as an option.
    """
    if not host or host.startswith("-"):
        raise RunnerError(f"{host!r} is no name of a host")
    there = [program, "relay", *(["--runs", runs] if runs else []), "--", run]
    quiet = ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-T"]
    return ["ssh", *quiet, "--", host, shlex.join(there)]


def _decoded(line: bytes) -> Message | None:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
