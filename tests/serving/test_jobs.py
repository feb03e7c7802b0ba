"""Jobs are accepted whole, changed atomically, found again, taken over once, and forgotten."""

import threading
import time

import pytest

from cache import digest
from fusion import FusionTask, TaskState, free_prices
from serving import Database
from serving.books import Books
from serving.jobs import DRAWN, GIVEN, AlreadyAccepted, Job, JobChanged, JobStore, NewJob
from serving.packet import JobPacket, Order
from serving.registry import Registry
from serving.seal import Seal

BOOKS = Books(free_prices(), "me")


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database, Seal(["0" * 43 + "="]), BOOKS)


def new_job(number: int = 1, seconds: float = 60.0, name: str | None = None) -> NewJob:
    """A job that asks for something of its own; two pictures came with it."""
    now = time.time()
    task = FusionTask(f"portrait_{number}", (), (), now, seconds)
    order = Order(kind="portrait", text=f"wish {number}", chosen_seed=7, count=1)
    packet = JobPacket(model="mini", order=order, task=task, expires=now + seconds)
    return NewJob(packet, [b"first", b"second"], digest(number), name)


def accept(store: JobStore, *jobs: NewJob, **options: str) -> tuple[Job, ...]:
    given = {"tenant": "ada", "key_id": "k", "owner": "me", **options}
    return store.accept(jobs, **given)  # type: ignore[arg-type]


def in_state(job: Job, state: TaskState) -> JobPacket:
    return job.packet.in_state(state)


def test_what_was_accepted_is_there_with_all_that_came_with_it(store: JobStore) -> None:
    (job,) = accept(store, new_job())
    assert store.get(job.id, "ada") == job
    assert store.payloads(job.id, GIVEN) == {0: b"first", 1: b"second"}


def test_another_tenant_sees_nothing_of_it(store: JobStore) -> None:
    (job,) = accept(store, new_job())
    assert store.get(job.id, "bert") is None
    assert store.newest("bert", 10) == ()
    assert not store.delete(job.id, "bert")
    assert store.get(job.id, "ada") == job


def test_a_batch_is_accepted_whole_or_not_at_all(store: JobStore) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"):
        accept(store, new_job(1), new_job(2), new_job(1))
    assert store.newest("ada", 10) == ()


def test_an_idempotency_key_is_used_once_by_a_tenant(store: JobStore) -> None:
    accept(store, new_job(1, name="k1"))
    with pytest.raises(AlreadyAccepted) as caught:
        accept(store, new_job(2, name="k1"))
    assert (caught.value.job_id, caught.value.digest) == ("portrait_1", digest(1))
    assert store.get("portrait_2") is None
    accept(store, new_job(3, name="k1"), tenant="bert")
    assert store.keyed("ada", "k1") == ("portrait_1", digest(1))


def test_of_two_changes_at_once_one_happens(store: JobStore) -> None:
    (job,) = accept(store, new_job())
    outcomes: list[str] = []

    def change(state: TaskState) -> None:
        try:
            store.change(job, in_state(job, state))
            outcomes.append(state)
        except JobChanged:
            outcomes.append("changed")

    states = [TaskState.RUNNING, TaskState.CANCELLED, TaskState.FAILED, TaskState.EXPIRED]
    threads = [threading.Thread(target=change, args=(state,)) for state in states]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("changed") == 3
    after = store.get(job.id)
    assert after is not None
    assert str(after.packet.state) in outcomes
    assert after.revision == 2


def test_what_was_drawn_replaces_what_was_given(store: JobStore) -> None:
    (job,) = accept(store, new_job())
    done = in_state(job, TaskState.DONE)
    store.end(job, done, None, drawn=[b"picture"], forget_given=True)
    assert store.payloads(job.id, DRAWN) == {0: b"picture"}
    assert store.payloads(job.id, GIVEN) == {}


def test_what_lies_in_the_database_is_sealed(store: JobStore, database: Database) -> None:
    from sqlalchemy import text

    accept(store, new_job())
    with database.reading() as connection:
        rows = [
            connection.execute(text(f"SELECT * FROM {table}")).all()
            for table in ("limner_jobs", "limner_payloads")
        ]
    assert "wish" not in repr(rows)
    assert "first" not in repr(rows)


def test_the_newest_of_the_same_wish_is_found(store: JobStore) -> None:
    accept(store, new_job(1))
    found = store.latest("k", digest(1), time.time() - 60)
    assert found is not None
    assert found.id == "portrait_1"
    assert store.latest("k", digest(1), time.time() + 1) is None
    assert store.latest("other", digest(1), 0) is None
    assert store.latest("k", digest(9), 0) is None


def test_the_jobs_of_the_dead_are_left_and_those_of_the_living_are_not(store: JobStore) -> None:
    accept(store, new_job(1), owner="dead")
    accept(store, new_job(2), owner="living")
    (ended,) = accept(store, new_job(3), owner="dead")
    store.change(ended, in_state(ended, TaskState.DONE))
    assert [name for name, _ in store.left_by(["living"])] == ["portrait_1"]


def test_a_job_sealed_with_a_lost_secret_is_left_without_its_packet_and_given_up(
    database: Database, store: JobStore
) -> None:
    accept(store, new_job(1), owner="dead")
    other = JobStore(database, Seal(["1" * 43 + "="]), BOOKS)
    assert list(other.left_by([])) == [("portrait_1", None)]
    other.give_up("portrait_1")
    assert list(other.left_by([])) == []


def test_what_has_expired_is_forgotten_with_its_pictures(store: JobStore) -> None:
    accept(store, new_job(1, seconds=-1), new_job(2))
    assert store.sweep(time.time()) == 1
    assert store.get("portrait_1") is None
    assert store.payloads("portrait_1", GIVEN) == {}
    assert [job.id for job in store.newest("ada", 10)] == ["portrait_2"]


def test_deleting_forgets_all_of_it(store: JobStore) -> None:
    (job,) = accept(store, new_job())
    assert store.delete(job.id, "ada")
    assert store.get(job.id) is None
    assert store.payloads(job.id, GIVEN) == {}
    with pytest.raises(JobChanged):
        store.change(job, job.packet)


def test_a_server_lives_until_it_signs_out_or_its_process_ends(database: Database) -> None:
    first, second = Registry(database), Registry(database)
    first.sign_in()
    second.sign_in()
    assert set(first.living()) == {first.id, second.id}
    second.sign_out()
    assert set(first.living()) == {first.id}


def test_a_server_that_was_struck_off_is_back_with_its_next_beat(database: Database) -> None:
    first, second = Registry(database), Registry(database)
    first.sign_in()
    second.sign_in()
    second.sign_out()  # as another does to one that was silent for long
    second.beat()
    assert set(first.living()) == {first.id, second.id}


def test_a_server_elsewhere_is_dead_once_it_was_silent_for_long(database: Database) -> None:
    from sqlalchemy import update

    from serving.database import servers

    here, elsewhere = Registry(database), Registry(database)
    here.sign_in()
    elsewhere.sign_in()
    for seen, lives in ((time.time(), True), (time.time() - 3600, False)):
        with database.writing() as connection:
            mine = update(servers).where(servers.c.id == elsewhere.id)
            connection.execute(mine.values(host="another.host", seen=seen))
        assert (elsewhere.id in here.living()) is lives
