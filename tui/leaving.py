"""How the app is left: with a run going it asks what shall become of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tui.screens.ask import Ask
from tui.working import begin

if TYPE_CHECKING:
    from tui.app import PruneApp
    from tui.live import LiveRun


def ask(app: PruneApp, going: list[LiveRun]) -> None:
    """Asks whether what is going shall stop or go on, then quits, or stays."""

    def answered(answer: str | None) -> None:
        if answer == "leave":
            app.exit(0)
        elif answer == "stop":
            begin(app, partial(_stop_and_quit, app, going), group="quit")

    names = ", ".join(run.session.name for run in going)
    waiting = f" {len(app.desk.queue)} in the queue will not be started." if app.desk.queue else ""
    question = Ask(
        f"{names} {'is' if len(going) == 1 else 'are'} still going.",
        ("l", "leave it running, and quit", "leave"), ("s", "stop it, and quit", "stop"), ("c", "stay here", ""),
        more=f"Left running it goes on without a screen; open it again under sessions.{waiting}",
    )  # fmt: skip
    app.push_screen(question, answered)


async def _stop_and_quit(app: PruneApp, going: list[LiveRun]) -> None:
    app.say("stopping; what there is, is saved")
    await app.desk.stop(going)
    app.exit(0)
