"""/v1/usage: a tenant's own account, by what it asks for, and nobody else's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving import Scope
from tests.serving.conftest import Running, Start


@pytest.fixture(scope="module")
def served(start: Start, tiny_bundle: Path, price_table: Path) -> Running:
    """A server that "ada" has asked for three portraits, by two keys, and "bert" for one."""
    running = start(bundle=tiny_bundle, prices=price_table)
    for tenant, wishes in (
        ("ada", [{"attributes": {"age": 30}}, {"attributes": {"age": 50, "hat": True}}]),
        ("ada", [{"attributes": {"age": 31}, "count": 2}]),
        ("bert", [{"text": "a secret of Bert's"}]),
    ):
        with running.client(running.key_of(tenant)) as client:
            for wish in wishes:
                answer = client.post("/v1/portraits", json={"steps": 1, **wish})
                assert answer.status_code == 200, answer.text
    return running


def usage(running: Running, tenant: str, **asked: object) -> dict[str, object]:
    with running.client(running.key_of(tenant, Scope.READ)) as client:
        answer = client.get("/v1/usage", params=asked)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_tenant_sees_its_own_usage_and_no_other(served: Running) -> None:
    ada, bert = usage(served, "ada")["total"], usage(served, "bert")["total"]
    assert [(one["items"]["images"], one["requests"]) for one in (*ada, *bert)] == [
        (4, {"done": 3}), (1, {"done": 1})
    ]  # fmt: skip
    assert usage(served, "carl")["total"] == []
    said = usage(served, "bert", by=["template", "bundle"])
    assert said["groups"][0]["group"] == {"bundle": "tiny", "template": "text"}
    assert "secret" not in repr(said)


def test_groups_add_up_to_the_total(served: Running) -> None:
    report = usage(served, "ada", by=["template", "key"])
    assert report["by"] == ["key", "template"]
    groups = [(one["group"]["template"], one["items"]["images"]) for one in report["groups"]]
    assert sorted(groups) == [("age", 1), ("age", 2), ("age hat", 1)]
    assert len({one["group"]["key"] for one in report["groups"]}) == 2
    for item in ("tokens", "denoiser_time", "bytes_sent"):
        (total,) = report["total"]
        assert sum(one["items"][item] for one in report["groups"]) == total["items"][item]


def test_days_are_those_of_utc_from_the_first_to_before_the_last(served: Running) -> None:
    today = datetime.now(UTC).date()
    days = [str(today + timedelta(days=number)) for number in (-1, 0, 1)]
    assert usage(served, "ada", since=days[0], until=days[1])["total"] == []
    report = usage(served, "ada", since=days[1], until=days[2], by="day")
    assert [one["group"] for one in report["groups"]] == [{"day": days[1]}]
    assert usage(served, "ada", since=days[2])["total"] == []


@pytest.mark.parametrize(
    "asked",
    [{"by": "tenant"}, {"by": "request"}, {"since": "yesterday"},
     {"since": "2026-02-01", "until": "2026-02-01"}],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(served: Running, asked: dict[str, str]) -> None:
    with served.client() as client:
        answer = client.get("/v1/usage", params=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"]


def test_a_key_that_may_not_read_sees_none_of_it(served: Running) -> None:
    with served.client(served.key_of("ada", Scope.DRAW)) as client:
        assert client.get("/v1/usage").status_code == 403
