"""Whoever watches is told, and nobody else."""

import threading

from diffc_stream.work import tell, watched


def test_whoever_watches_is_told() -> None:
    told: list[tuple[str, float]] = []
    tell("searching", 0.5)
    with watched(lambda what, share: told.append((what, share))):
        tell("searching", 0.25)
        with watched(lambda what, share: told.append((f"{what} within", share))):
            tell("searching", 0.5)
        tell("searching", 1.0)
    tell("searching", 1.0)
    assert told == [("searching", 0.25), ("searching within", 0.5), ("searching", 1.0)]


def test_other_threads_have_watchers_of_their_own() -> None:
    told: list[float] = []
    with watched(lambda _, share: told.append(share)):
        other = threading.Thread(target=tell, args=("evaluating", 0.5))
        other.start()
        other.join()
    assert not told
