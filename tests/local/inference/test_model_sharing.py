"""The two locks of the inference worker: nobody is passed by, nobody keeps the model."""

from __future__ import annotations

import threading
import time

from arkor_dev.local.inference.model_sharing import TOGETHER, FairLock, Stage
from tests.local.harness import until


def enter_in_thread(stage: Stage, base: str, entered: list[str]) -> threading.Thread:
    def run() -> None:
        stage.enter(base)
        entered.append(base)

    waiting = len(stage._waiting)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until(lambda: len(stage._waiting) > waiting or not thread.is_alive())
    return thread


def test_answers_of_one_base_share_the_stage_up_to_a_number() -> None:
    stage, entered = Stage(), list[str]()
    for _ in range(TOGETHER):
        stage.enter("a")
    thread = enter_in_thread(stage, "a", entered)
    assert thread.is_alive()
    stage.leave()
    thread.join(2)
    assert entered == ["a"]


def test_another_base_waits_for_the_stage_and_is_not_passed_by() -> None:
    stage, entered = Stage(), list[str]()
    stage.enter("a")
    other = enter_in_thread(stage, "b", entered)
    same = enter_in_thread(stage, "a", entered)
    time.sleep(0.05)
    assert entered == []
    stage.leave()
    other.join(2)
    assert entered == ["b"]
    assert same.is_alive()
    stage.leave()
    same.join(2)
    assert entered == ["b", "a"]


def test_the_lock_stays_with_one_who_is_alone() -> None:
    lock = FairLock()
    lock.take()
    time.sleep(0.15)
    assert not lock.share()
    lock.give()


def test_the_lock_goes_around_by_time() -> None:
    lock, order = FairLock(), list[str]()
    over = time.monotonic() + 1.0

    def play(name: str) -> None:
        lock.take()
        while time.monotonic() < over:
            if not order or order[-1] != name:
                order.append(name)
            time.sleep(0.005)
            lock.share()
        lock.give()

    threads = [threading.Thread(target=play, args=(name,), daemon=True) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)
    first = order[:3]
    assert sorted(first) == ["a", "b", "c"]
    assert order[:6] == first + first
    assert len(order) <= 14
