"""What an epoch costs while units leave: seconds by the clock and of the processor, epoch by epoch of one run.

The first epoch after units left (and the first of all) also compiles, and what was scored before it counts to it.
Processor seconds count both cores and hardly change when neighbours are busy. A dense network that an earlier run left
in the cache takes none: its clock is of then (PRUNE_TUI_CACHE=FOLDER chooses another cache).

    python tests/benchmarks/epoch_times.py [PRESET] [--set KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("preset", nargs="?", default="iterative-units")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    given = parser.parse_args()
    import engine
    from engine.events import EpochEnded, Surgery
    from engine.recipe_reading import parse_override

    recipe = engine.load_recipe(given.preset, overrides=dict(map(parse_override, given.overrides)))
    last = time.process_time()

    def tell(event):
        nonlocal last
        now = time.process_time()
        if isinstance(event, EpochEnded):
            print(f"epoch {event.epoch:3}  {event.sparsity:6.1%} gone  clock {event.seconds:6.2f} s  "
                  f"processor {now - last:6.2f} s  validation {event.validation:.3f}", flush=True)  # fmt: skip
            last = now
        elif isinstance(event, Surgery):
            print(
                f"smaller: {event.after['flops'] / max(event.before['flops'], 1):.0%} of the FLOPs are left", flush=True
            )

    begun = time.perf_counter()
    session = engine.run(recipe, on_event=tell)
    dense, pruned = (part["metric"]["value"] for part in (session.dense, session.pruned))
    took = time.perf_counter() - begun
    print(f"test {session.metric.name}: dense {dense:.3f}, pruned {pruned:.3f}; {took:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
