"""What the dynamic method promises holds after its repairs, too: nothing outside the tolerance is left in the run."""

from __future__ import annotations

from engine.running.adaptive.dynamic import within
from engine.running.context import Run


def hold(run: Run) -> None:
    """The stage after the repairs: where they left less than may be lost, the last accepted state comes back."""
    memory = run.memory["dynamic"]
    _, validation = run.validate()
    share = run.task.metric.direction == "max"
    if within(validation, first=memory["first"], drop=memory["drop"], share=share):
        return
    run.set_weights(run.arrays["accepted weights"])
    name = run.task.metric.name
    run.note(f"the repair left {name} {validation:.3f}, outside the tolerance: back to {memory['accepted']:.3f}")
