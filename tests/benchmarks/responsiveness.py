"""How smooth a run is: 2,000 events a second of a network of 60 layers, and the keys that are pressed meanwhile.

The app runs in a terminal of its own (a pseudo terminal of 120x40). A key press counts as answered when what it changes
has come out of the terminal. Goals: at most 25 % of one core, 95 % of the key presses within 50 ms.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import resource
import select
import statistics
import struct
import sys
import tempfile
import termios
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

RATE, LAYERS, KEYS = 2_000, 60, 100


def child(seconds: float, folder: str) -> None:
    """The app with a feed that speaks `RATE` times a second; writes the share of a core that it used."""
    import asyncio

    from engine.events import (
        Counts,
        EpochEnded,
        LayersSeen,
        LayerState,
        MasksChanged,
        Message,
        Noted,
        PhaseBegan,
        Progress,
        Started,
    )
    from engine.recipe import Recipe
    from tui import config
    from tui.app import PruneApp

    def layers(gone: float) -> tuple[LayerState, ...]:
        return tuple(
            LayerState(
                key=f"block_{i}/conv/kernel", shape=(3, 3, 64, 64), weights=36_864, kept=int(36_864 * (1 - gone))
            )
            for i in range(LAYERS)
        )

    class Torrent:
        folder: Path | None = None

        async def messages(self) -> AsyncIterator[Message]:
            recipe = {"name": "torrent", "data": "digits", "model": "mlp"}
            yield Started(seq=1, run="torrent", recipe=recipe, environment={}, epochs=100_000)
            yield PhaseBegan(seq=2, phase="pruning")
            yield LayersSeen(seq=3, layers=layers(0.0))
            seq, began, cpu, told = 3, time.monotonic(), None, False
            while True:
                now = time.monotonic() - began
                if cpu is None and now > 1.0:  # the screen is up: from here on it counts
                    usage = resource.getrusage(resource.RUSAGE_SELF)
                    cpu, start = usage.ru_utime + usage.ru_stime, now
                if cpu is not None and not told and now > seconds:
                    usage, told = resource.getrusage(resource.RUSAGE_SELF), True
                    share = (usage.ru_utime + usage.ru_stime - cpu) / (now - start)
                    Path(folder, "share").write_text(f"{share} {(seq - 3) / now}")
                while seq - 3 < now * RATE:
                    seq += 1
                    gone = (seq % 9_000) / 10_000
                    if seq % 100 == 0:
                        counts = Counts(weights=LAYERS * 36_864, weights_kept=int(LAYERS * 36_864 * (1 - gone)))
                        yield MasksChanged(
                            seq=seq,
                            time=1e9,
                            epoch=1,
                            step=seq,
                            before=gone,
                            after=gone,
                            layers=layers(gone),
                            counts=counts,
                        )
                    elif seq % 200 == 1:
                        yield EpochEnded(seq=seq, time=1e9, epoch=seq // 200, phase="pruning", loss=1 / seq,
                                         metric=gone, validation=gone, sparsity=gone)  # fmt: skip
                    elif seq % 10 == 0:
                        yield Noted(seq=seq, time=1e9, words=f"note {seq}")
                    else:
                        yield Progress(phase="pruning", epoch=1, epochs=9, step=seq % 100, steps=100, loss=0.1,
                                       sparsity=gone, seconds_left=12.0)  # fmt: skip
                await asyncio.sleep(0.005)

        async def cancel(self) -> None: ...
        async def pause(self) -> None: ...
        async def resume(self) -> None: ...
        async def close(self) -> None: ...

    class Side:
        words = "engine ready"

        async def warm(self) -> None: ...

        async def start(self, recipe: Recipe) -> Torrent:
            return Torrent()

        async def resume(self, folder: Path) -> Torrent:
            return Torrent()

        async def attach(self, folder: Path) -> Torrent:
            return Torrent()

        async def close(self) -> None: ...

    app = PruneApp(
        Path(folder), feed_factory=lambda _: Side(), settings=config.Config(notify=False), memory=Path(folder, "state")
    )
    app.run()


def main() -> None:
    """Starts the app, presses keys, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--child", default="")
    given = parser.parse_args()
    if given.child:
        child(given.seconds, given.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        answers, share, rate = _measure(given.seconds, folder)
    late = statistics.quantiles(answers, n=20)[-1]
    print(f"events        {rate:,.0f} a second, {LAYERS} layers")
    print(f"processor     {share:.1%} of one core (at most 25 %)")
    print(f"key presses   {len(answers)}: median {1000 * statistics.median(answers):.0f} ms, "
          f"95 % within {1000 * late:.0f} ms (at most 50 ms)")  # fmt: skip


def _measure(seconds: float, folder: str) -> tuple[list[float], float, float]:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execv(sys.executable, [sys.executable, __file__, "--child", folder, "--seconds", str(seconds)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    heard: list[tuple[float, bytes]] = []
    closing = threading.Event()

    def listen() -> None:
        while not closing.is_set():
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    heard.append((time.perf_counter(), os.read(terminal, 1 << 16)))
                except OSError:
                    return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    answers = []
    try:
        _until(heard, 0, b"presets")
        time.sleep(0.5)
        os.write(terminal, b"\r")
        _until(heard, 0, b"torrent")
        time.sleep(1.5)
        for at in range(KEYS):
            mark, began = len(heard), time.perf_counter()
            os.write(terminal, b"f")  # freeze, thaw: both are seen in the first line
            answers.append(_until(heard, mark, b"pruning" if at % 2 else b"frozen") - began)
            time.sleep(max(0.0, 2 * (seconds - 3) / KEYS - 0.1) if at % 2 else 0.02)
        until = time.monotonic() + seconds
        while not Path(folder, "share").exists() and time.monotonic() < until:
            time.sleep(0.05)
        share, rate = map(float, Path(folder, "share").read_text().split())
    finally:
        closing.set()
        os.kill(pid, 15)
        os.waitpid(pid, 0)
        listener.join()
    return answers, share, rate


def _until(heard: list[tuple[float, bytes]], start: int, words: bytes) -> float:
    """When the words came out of the terminal."""
    until = time.perf_counter() + 20
    while time.perf_counter() < until:
        joined = b""
        for when, part in heard[start:]:
            joined += part
            if words in joined:
                return when
        time.sleep(0.001)
    raise SystemExit(f"the terminal never showed {words!r}")


if __name__ == "__main__":
    main()
