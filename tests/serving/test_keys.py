"""Keys let in who has them, for their tenant, until they are revoked; only hashes are kept."""

import pytest
from sqlalchemy import text

from serving import Database, KeyStore, KeyUnknown, NameTaken, Scope, ServingError


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database)


def test_a_key_is_known_by_its_token_and_by_nothing_else(keys: KeyStore) -> None:
    key, token = keys.add("ada", requests_per_minute=5)
    assert keys.authenticate(token) == key
    wrong = [token[:-1], token + "x", token[:-1] + ("A" if token[-1] != "A" else "B"), "", "lim_",
             token.replace("_", "-"), token.upper(), f" {token}", f"lim_{'a' * 12}_{'b' * 43}",
             "x" * 10_000, "lim_ж_ж"]  # fmt: skip
    assert [keys.authenticate(one) for one in wrong] == [None] * len(wrong)


def test_the_secret_is_nowhere_in_the_database(keys: KeyStore, database: Database) -> None:
    _, token = keys.add("ada")
    with database.reading() as connection:
        rows = connection.execute(text("SELECT * FROM limner_keys")).all()
    assert token.split("_", 2)[2] not in repr(rows)


def test_a_revoked_key_ends_at_once_and_its_name_is_free(keys: KeyStore) -> None:
    _, token = keys.add("ada")
    keys.revoke("ada")
    assert keys.authenticate(token) is None
    again, _ = keys.add("ada")
    assert [one.revoked is None for one in keys.list()] == [False, True]
    assert keys.revoke(again.id).name == "ada"


def test_tenants_and_scopes_are_kept(keys: KeyStore) -> None:
    _, token = keys.add("phone", tenant="ada", scopes=[Scope.READ])
    key = keys.authenticate(token)
    assert key is not None
    assert key.tenant == "ada"
    assert key.may(Scope.READ)
    assert not key.may(Scope.DRAW)


def test_what_cannot_be_is_refused(keys: KeyStore) -> None:
    keys.add("ada")
    with pytest.raises(NameTaken):
        keys.add("ada")
    for name in ("", "a b", "x" * 65, "../a", "ä"):
        with pytest.raises(ServingError):
            keys.add(name)
    with pytest.raises(ServingError):
        keys.add("bert", scopes=[])
    with pytest.raises(ServingError):
        keys.add("carl", requests_per_minute=0)
    with pytest.raises(KeyUnknown):
        keys.revoke("nobody")
