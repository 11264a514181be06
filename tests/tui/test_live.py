import asyncio

from engine.errors import PruneError, RunnerError
from engine.events import encode
from engine.session import Session
from tui.feed import Replay
from tui.live import LiveRun


async def _heard(live):
    live.follow()
    await asyncio.wait_for(live._task, 5)
    return live


async def test_the_session_is_the_fold_of_the_journal(story, tmp_path):
    journal = tmp_path / "events.jsonl"
    durable = [m for m in story() if getattr(m, "seq", 0)]
    journal.write_bytes(b"".join(map(encode, durable)) + b'{"type": "epochen')  # the last line was not finished
    session = Session()
    for message in durable:
        session = session.apply(message)
    live = await _heard(LiveRun(feed=Replay(journal)))
    assert live.session == session
    assert live.folder == tmp_path
    assert not live.going


async def test_a_runner_that_goes_without_a_word_is_lost(story):
    live = await _heard(LiveRun(feed=Replay(story(until="pruning"))))
    assert live.lost == "the runner ended without a word"
    assert live.session.state == "pruning"
    assert not live.going


async def test_an_error_of_the_link_is_kept():
    class Broken(Replay):
        async def messages(self):
            raise RunnerError("speaks another protocol")
            yield

    live = await _heard(LiveRun(feed=Broken([])))
    assert live.lost == "speaks another protocol"


async def test_pause_and_stop_reach_the_feed(story):
    feed = Replay(story(until="pruning"), stays=True)
    live = LiveRun(feed=feed)
    live.follow()
    await asyncio.sleep(0.05)
    await live.toggle_pause()
    await live.toggle_pause()
    await live.stop()
    assert feed.told == ["pause", "resume", "cancel"]
    assert live.stopping
    await live.close()


def test_a_start_that_failed_is_a_failed_run():
    live = LiveRun()
    live.fail(PruneError("no folder can be made", where="runs", todo="Name another."))
    assert (live.session.state, live.session.words, live.session.todo) == (
        "failed",
        "no folder can be made",
        "Name another.",
    )
    assert live.log_tail() == []
