"""How long surgery takes: graph and groups of a model, and the rebuild beside Keras' own clone_model and set_weights.

Minima over interleaved repeats, since the machine may be busy with other things.

    python tests/benchmarks/surgery.py [NAME ...] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
LINE = "{:18} {:>6} {:>9} {:>9} {:>9} {:>9} {:>6}"


def timed(work):
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", default=["ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121"])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np

    from engine.surgery import dependency_groups, planned
    from engine.surgery.rebuild import rebuild
    from engine.surgery.trace import Trace

    dependency_groups(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]))  # the rules are imported once
    print(LINE.format("seconds", "layers", "groups", "plan", "rebuild", "clone", "ratio"))
    for name in given.names:
        model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
        last = model.layers[-1].name
        half = {k: np.arange(len(s.labels) // 2) for k, s in Trace(model).spaces.items() if k != last}
        best = dict.fromkeys(("groups", "plan", "rebuild", "clone"), float("inf"))

        def clone(model=model):
            twin = keras.models.clone_model(model)
            twin.set_weights(model.get_weights())

        for _ in range(given.repeats):
            best["groups"] = min(best["groups"], timed(lambda model=model: dependency_groups(model))[0])
            seconds, plan = timed(lambda model=model, half=half: planned(model, half))
            best["plan"] = min(best["plan"], seconds)
            best["rebuild"] = min(best["rebuild"], timed(lambda plan=plan: rebuild(plan))[0])
            best["clone"] = min(best["clone"], timed(clone)[0])
        numbers = [f"{best[k]:.3f}" for k in ("groups", "plan", "rebuild", "clone")]
        print(LINE.format(name, len(model.layers), *numbers, f"{best['rebuild'] / best['clone']:.2f}"), flush=True)
        keras.utils.clear_session()
    print("goals: groups of ResNet50 within 0.1 s, of any model within 0.5 s; ratio (rebuild over clone) at most 1.5")
    return 0


if __name__ == "__main__":
    sys.exit(main())
