"""A search's queue: claims by several workers, what the death of one leaves, and who is taken for dead."""

import contextlib
import os
import signal
import threading
import time

import pytest
from optuna.storages import RDBStorage
from search_world import forked, journal, recipe_in, soon

from composer.errors import NeedsError
from composer.pool import open_pool
from composer.study.beats import Beats
from composer.study.claim import FAILED
from composer.study.queue import open_queue
from composer.study.search import search_domain
from composer.study.storage import Flock, open_storage

NAMES = ["default", *(f"p{number:03d}" for number in range(4))]


@pytest.fixture(scope="module")
def domain(tmp_path_factory):
    recipe = recipe_in(tmp_path_factory.mktemp("domain") / "run")
    return search_domain(recipe, open_pool(recipe.config.pool))


@pytest.fixture(params=["journal", "sqlite"])
def opened(request, domain, tmp_path):
    """Opens the queue anew, as a worker in a folder of that name would; with a journal it is one folder for all."""
    made = []

    def open_(folder="run", seconds=1, names=NAMES):
        url = f"sqlite:///{tmp_path}/search.db" if request.param == "sqlite" else None
        queue = open_queue(tmp_path / (folder if url else "run"), "s", url, ["score"], {}, seconds, domain)
        with queue.alone():
            queue.ensure(names)
        made.append(queue)
        return queue

    yield open_
    for queue in made:
        queue.close()


def mixture(domain, place):
    """One of some mixtures that differ."""
    import numpy as np

    from composer.study.proposer import random_params

    return domain.proposal(random_params(domain, place + 1, np.random.default_rng(3))[place])


def taken(queue, domain):
    claim = queue.claim()
    queue.propose(claim, mixture(domain, claim.index), {})
    return claim


def states(queue):
    """Index → the states of its trials."""
    found = {}
    for trial in queue.storage.backend.get_all_trials(queue.identity):
        found.setdefault(trial.user_attrs["index"], []).append(trial.state.name)
    return found


def test_each_takes_the_lowest_that_waits_and_what_it_returns_is_told(opened, domain):
    one, two = opened("one"), opened("two")
    first, second = taken(one, domain), taken(two, domain)
    assert (first.index, second.index) == (0, 1)
    assert [told.values for told in one.told()] == [None, None]
    two.finish(second, [0.5], {"by_seed": [[0.5]]})
    one.fail(first, "no memory")
    assert [(arm, values) for arm, values, _ in two.results()] == [("default", None), ("p000", [0.5])]
    assert two.claim().index == 2 and one.waits()


def test_a_proposal_whose_worker_gave_it_back_keeps_its_mixture_and_its_parameters(opened, domain):
    one, two = opened("one"), opened("two")
    claim = taken(one, domain)
    one.release()
    assert two.waits()  # for somebody lets it wait again
    two.ensure(NAMES)
    again = two.claim()
    assert again.index == 0 and again.trial != claim.trial and again.proposal == claim.proposal
    two.finish(again, [0.7], {})
    trial = two.storage.backend.get_trial(again.trial)
    assert trial.params == dict(claim.proposal.params) and trial.values == [0.7] and len(trial.distributions) == 2


def test_what_failed_by_itself_was_tried_again_and_was_then_given_up_is_not_lost(opened, domain):
    queue = opened()
    queue.fail(taken(queue, domain), "no memory")
    queue.retry()
    assert taken(queue, domain).index == 0
    queue.release()
    queue.ensure(NAMES)
    assert queue.claim().index == 0


def test_what_failed_is_not_tried_again_while_another_works(opened, domain):
    one, two = opened("one"), opened("two")
    one.fail(taken(one, domain), "no memory")
    taken(one, domain)
    two.retry()
    assert states(two)[0] == ["FAIL"]
    one.release()
    two.retry()
    assert states(two)[0] == ["FAIL", "WAITING"]


def test_an_index_that_came_to_wait_twice_is_run_once(opened, domain):
    one, two = opened("one"), opened("two")
    claim = taken(one, domain)
    one.release()
    for queue in (one, two):
        queue._wait(0, "default")  # as two that read the storage at the same moment would
    again = one.claim()
    assert again.index == 0 and again.proposal == claim.proposal
    assert two.claim().index == 1
    assert states(two)[0] == ["FAIL", "RUNNING", "FAIL"]
    one.finish(again, [0.5], {})
    assert [told.values for told in two.told()] == [[0.5]]


def test_more_than_is_asked_for_now_is_left_waiting(opened, domain):
    opened()
    queue = opened(names=NAMES[:2])
    for _ in range(2):
        queue.finish(taken(queue, domain), [0.5], {})
    assert queue.claim() is None and not queue.waits()


def test_a_worker_that_was_taken_for_dead_hands_in_what_it_trained(opened, domain):
    one, two = opened("one"), opened("two")
    claim = taken(one, domain)
    gone(two, claim)
    two.ensure(NAMES)
    one.finish(claim, [0.6], {"by_seed": [[0.6]]})
    assert claim.lost and not one.mine
    assert two.claim().index == 1 and "WAITING" not in states(two)[0]
    assert [(arm, values) for arm, values, _ in two.results()] == [("default", [0.6])]
    (done,) = [t for t in two.storage.backend.get_all_trials(two.identity) if t.state.name == "COMPLETE"]
    assert done.params == dict(claim.proposal.params)


def test_a_worker_that_was_taken_for_dead_leaves_the_last_word_to_who_took_over(opened, domain):
    one, two = opened("one"), opened("two")
    claim = taken(one, domain)
    gone(two, claim)
    os.close(claim.lease) if claim.lease is not None else None
    claim.lease = None
    two.ensure(NAMES)
    other = two.claim()
    one.finish(claim, [0.6], {})
    assert states(two)[0] == ["FAIL", "RUNNING"]
    two.finish(other, [0.7], {})
    assert two.results() == [("default", [0.7], {})] and one.results() == two.results()


def gone(queue, claim):
    from optuna.trial import TrialState

    assert queue.storage.backend.set_trial_state_values(claim.trial, state=TrialState.FAIL)


def hold(run, url, domain, proposes):
    """Claims, and proposes if it is to, then stands there."""
    queue = open_queue(run, "s", url, ["score"], {}, 1, domain)
    queue.ensure(NAMES)
    claim = queue.claim()
    if proposes:
        queue.propose(claim, mixture(domain, claim.index), {})
    time.sleep(60)


@pytest.mark.parametrize("proposes", [False, True])
@pytest.mark.parametrize("remote", [False, True])
def test_what_a_killed_worker_was_at_is_tried_again(remote, proposes, domain, tmp_path):
    url = f"sqlite:///{tmp_path}/search.db" if remote else None
    process = forked(hold, tmp_path / "run", url, domain, proposes)
    try:
        queue = soon(lambda: opened_once(tmp_path, url, domain, proposes))
        assert queue.reap() == []
        if remote:
            time.sleep(2.5)  # it counts, so that it is not taken for dead
            assert queue.reap() == []
    finally:
        process.kill()
        process.join()
    killed = time.monotonic()
    assert soon(queue.reap, 20) == ["default"]
    if remote:
        assert time.monotonic() - killed >= 0.5  # it counted a moment ago, at the most 0.25 s before
    queue.ensure(NAMES)
    claim = queue.claim()
    assert claim.index == 0 and claim.proposal == (mixture(domain, 0) if proposes else None)
    queue.close()


def opened_once(tmp_path, url, domain, proposes):
    """The queue, once the other has claimed from it."""
    queue = open_queue(tmp_path / "run", "s", url, ["score"], {}, 1, domain)
    if any(of == ["RUNNING"] for of in states(queue).values()) and len(queue.proposals()) == proposes:
        return queue
    queue.close()
    return None


def test_claims_in_a_database_without_taking_turns_are_each_anothers(domain, tmp_path):
    url, names = f"sqlite:///{tmp_path}/search.db", [f"p{number:03d}" for number in range(24)]
    queues = [open_queue(tmp_path / str(n), "s", url, ["score"], {}, 60, domain) for n in range(4)]
    for queue in queues:
        queue.ensure(names)
    found, start = [], threading.Barrier(len(queues))

    def work(queue):
        start.wait(10)
        while (claim := queue.claim()) is not None:
            found.append(claim.index)

    threads = [threading.Thread(target=work, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == list(range(len(names)))
    assert all(of == ["RUNNING"] for of in states(queues[0]).values())
    for queue in queues:
        queue.close()


def test_one_at_a_time_is_alone_and_a_dead_one_is_not(domain, tmp_path):
    url, order = f"sqlite:///{tmp_path}/search.db", []
    one, two = (open_storage(tmp_path / name, "s", url) for name in ("one", "two"))

    def enter():
        with two.alone():
            order.append("two")

    thread = threading.Thread(target=enter)
    with one.alone():
        thread.start()
        time.sleep(0.3)
        order.append("one")
    thread.join(10)
    assert order == ["one", "two"]
    process = forked(stand_alone, tmp_path, url)
    soon((tmp_path / "alone").exists)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with one.alone():
        pass


def stand_alone(tmp_path, url):
    with open_storage(tmp_path / "three", "s", url).alone():
        (tmp_path / "alone").touch()
        time.sleep(60)


def test_a_silent_worker_is_dead_and_one_that_counts_is_not():
    counts = {1: [0, 0.4], 2: [0, 0.4], 3: [0, 5.0]}

    def look():
        counts[1] = [counts[1][0] + 1, 0.4]
        return dict(counts)

    beats = Beats(0.4, list, lambda *_: None, look)
    try:
        soon(lambda: beats.dead(2), 5)
        assert not beats.dead(1)
        assert not beats.dead(3)  # it said that it would be silent for longer
        assert not beats.dead(4)  # nothing was seen of it
    finally:
        beats.stop()


@pytest.mark.parametrize(("how", "asked"), [("fails", 1.0), ("hangs", 1.5)])
def test_time_in_which_nothing_could_be_seen_says_nothing(how, asked):
    away, looked = threading.Event(), threading.Event()

    def look():
        if away.is_set() and how == "fails":
            raise OSError("away")
        if away.is_set():
            time.sleep(1.2)
        looked.set()
        return {1: [0, 0.8]}

    beats = Beats(0.8, list, lambda *_: None, look)
    try:
        soon(looked.is_set)
        began = time.monotonic()
        away.set()
        time.sleep(0.5)
        away.clear()
        time.sleep(max(0.0, began + asked - time.monotonic()))
        assert not beats.dead(1)
        soon(lambda: beats.dead(1), 5)
    finally:
        beats.stop()


def test_a_beat_is_beside_what_this_process_works_on(domain, tmp_path):
    queue = open_queue(tmp_path, "s", f"sqlite:///{tmp_path}/search.db", ["score"], {}, 1, domain)
    queue.ensure(NAMES)
    claim = queue.claim()
    count = lambda: queue.storage.backend.get_trial(claim.trial).user_attrs.get("beat", [0])[0]  # noqa: E731
    first = soon(count)
    soon(lambda: count() > first)
    queue.fail(claim, "no memory")
    last = count()
    time.sleep(0.6)
    assert count() == last and queue.results()[0][2] == {FAILED: "no memory"}
    queue.close()


def test_a_journal_whose_last_line_was_cut_short_is_mended_however_long_it_is(tmp_path):
    path, whole = tmp_path / "study.journal", b'{"op_code": 0}\n'
    for torn in (b"{", b"x" * 200_000, b""):
        path.write_bytes(whole + torn)
        lock = Flock(path)
        assert lock.acquire()
        lock.release()
        assert path.read_bytes() == whole
    path.write_bytes(b"x" * 200_000)
    lock.acquire()
    lock.release()
    assert path.read_bytes() == b""


def test_the_lock_of_others_who_opened_the_journal_is_not_waited_for(domain, tmp_path):
    """A killed reader of Optuna's leaves its own behind."""
    queue = open_queue(tmp_path, "s", None, ["score"], {}, 1, domain)
    os.symlink(tmp_path / "study.journal", tmp_path / "study.journal.lock")
    started = time.monotonic()
    queue.ensure(NAMES)
    assert time.monotonic() - started < 10
    assert len(journal(tmp_path).get_all_trials(0)) == len(NAMES)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "nonsense, which cannot be opened"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/none", r"postgresql\+psycopg://…@127.0.0.1:1/none, which cannot"),
        ("mssql+pymssql://me:secret@127.0.0.1/none", "…@127.0.0.1/none, "),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(url, told, tmp_path):
    with pytest.raises(NeedsError, match=told) as raised:
        open_storage(tmp_path, "s", url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("round_", range(3))
def test_a_database_that_a_dashboard_opens_at_the_same_moment_can_be_opened(round_, tmp_path):
    url, together = f"sqlite:///{tmp_path}/search.db", threading.Barrier(5)

    def dashboard():
        together.wait()
        with contextlib.suppress(Exception):  # it knows nothing of our lock, and may lose
            RDBStorage(url)

    others = [threading.Thread(target=dashboard) for _ in range(4)]
    for one in others:
        one.start()
    together.wait()
    try:
        storage = open_storage(tmp_path, "default", url)
    finally:
        for one in others:
            one.join()
    assert storage.backend.get_all_studies() == []
