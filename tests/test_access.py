"""Who may call what, and how often; and what is left of it in the audit."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner
from fastapi.routing import APIRoute

from serving import access, cli
from serving.access import is_local, needs_keys
from serving.app import create_app
from serving.settings import Settings
from serving.store.audit import trail
from serving.store.database import Database
from serving.store.keys import SCOPES, create_key, find_key, list_keys, revoke_key
from serving.store.tables import api_keys, customers
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, Json

pytestmark = pytest.mark.usefixtures("both_stores")

OPEN = {"/healthz", "/readyz", "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"}
"""What anybody may ask."""

SCOPE = {
    "POST /classify": "classify",
    "POST /messages": "write",
    "PUT /customers/{customer_id}": "write",
    "PUT /tickets/{ticket_id}": "write",
    "POST /tickets/{ticket_id}/events": "write",
    "PUT /agents/{agent_id}": "write",
    "POST /customers/{customer_id}/outcomes": "write",
    "POST /customers/{customer_id}/ratings": "write",
    "POST /customers/{customer_id}/decisions": "review",
    "POST /feedback": "review",
    "GET /feedback": "review",
    "GET /feedback/agreement": "review",
    "DELETE /feedback/{feedback_id}": "review",
    "POST /review": "review",
    "GET /review": "review",
    "DELETE /review/{review_id}": "review",
    "DELETE /customers/{customer_id}": "admin",
    "GET /customers/{customer_id}/export": "admin",
    "GET /metrics": None,
}
"""The scope of each route that is no GET; a GET of anything else needs `read`. None: any key."""


def routes() -> list[str]:
    app = create_app(Settings(), FakeScorer())
    return [
        f"{method} {path}"
        for path, method in sorted(
            (path, method.upper())
            for path, methods in app.openapi()["paths"].items()
            for method in methods
        )
        if path not in OPEN
    ]


def secret_of(store: Database, *scopes: str) -> str:
    with store.begin() as connection:
        return create_key(connection, "test", scopes, NOW)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def code_of(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    code: str = response.json()["error"]["code"]
    return code


@pytest.fixture
async def guarded(open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(FakeScorer(), Clock(), api_keys="required") as client:
        yield client


# --- scopes ---


def test_every_route_is_in_the_documentation_or_open() -> None:
    app = create_app(Settings(), FakeScorer())
    documented = {tuple(route.split(" ", 1)) for route in routes()}
    paths = {path for _, path in documented}
    for route in app.routes:
        path = getattr(route, "path", "")
        if isinstance(route, APIRoute) or path:
            assert path in OPEN | paths, f"{path} is neither documented nor known to be open"


def test_every_writing_route_has_a_scope_here() -> None:
    assert {route for route in routes() if not route.startswith("GET")} <= set(SCOPE)


async def test_every_route_needs_its_scope_and_no_other(
    open_client: OpenClient, store: Database
) -> None:
    secrets = {scope: secret_of(store, scope) for scope in SCOPES}
    async with open_client(
        FakeScorer(), Clock(), api_keys="required", requests_per_minute=10_000
    ) as client:
        for route in routes():
            method, path = route.split(" ", 1)
            needed = SCOPE.get(route, "read")
            url = re.sub(r"\{.*?\}", "nobody", path)
            assert code_of(await client.request(method, url), 401) == "unauthorized", route
            for scope in SCOPES:
                answer = await client.request(method, url, headers=bearer(secrets[scope]))
                if needed in (scope, None) or scope == "admin":
                    assert answer.status_code not in (401, 403, 500), (route, scope)
                else:
                    assert code_of(answer, 403) == "forbidden", (route, scope)


async def test_health_and_documentation_are_open(guarded: httpx.AsyncClient) -> None:
    for path in sorted(OPEN):
        assert (await guarded.get(path)).status_code == 200, path


# --- keys ---


def test_only_a_hash_of_a_key_is_kept(store: Database) -> None:
    secret = secret_of(store, "read", "write")
    with store.read() as connection:
        (row,) = connection.execute(api_keys.select())
        (listed,) = list_keys(connection)
    assert secret.startswith("btx_")
    assert len(secret) > 40
    assert secret not in str(row)
    assert secret.removeprefix("btx_") not in str(row)
    assert re.fullmatch("[0-9a-f]{64}", row.hash)
    assert "hash" not in listed
    assert (listed["name"], listed["scopes"]) == ("test", "read write")


@pytest.mark.parametrize("scopes", [[], ["read", "everything"]])
def test_a_key_needs_known_scopes(store: Database, scopes: list[str]) -> None:
    with pytest.raises(ValueError, match="scopes are"), store.begin() as connection:
        create_key(connection, "x", scopes, NOW)


async def test_a_revoked_key_works_no_more(open_client: OpenClient, store: Database) -> None:
    secret, clock = secret_of(store, "read"), Clock()
    async with open_client(FakeScorer(), clock, api_keys="required") as client:
        assert (await client.get("/alerts", headers=bearer(secret))).status_code == 200
        with store.begin() as connection:
            key = find_key(connection, secret)
            assert key
            assert revoke_key(connection, key.id, NOW)
            assert not revoke_key(connection, key.id, NOW)
            assert not revoke_key(connection, "nothing", NOW)
            assert find_key(connection, secret) is None
        clock.now += 6
        assert code_of(await client.get("/alerts", headers=bearer(secret)), 401) == "unauthorized"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer btx_no", "Basic YTpi", "Bearer \udcff\x00", "btx_"]
)
async def test_what_is_no_key_is_401(guarded: httpx.AsyncClient, header: str) -> None:
    raw = [(b"authorization", header.encode("utf-8", "surrogateescape"))]
    answer = await guarded.get("/alerts", headers=raw)
    assert code_of(answer, 401) == "unauthorized"


async def test_the_word_bearer_may_be_written_in_any_case(
    guarded: httpx.AsyncClient, store: Database
) -> None:
    secret = secret_of(store, "admin")
    answer = await guarded.get("/alerts", headers={"authorization": f"bEARER  {secret} "})
    assert answer.status_code == 200


# --- rate ---


async def test_more_requests_than_allowed_are_429_and_a_key_has_its_own_count(
    open_client: OpenClient, store: Database
) -> None:
    one, other = secret_of(store, "read"), secret_of(store, "read")
    async with open_client(FakeScorer(), api_keys="required", requests_per_minute=3) as client:
        for _ in range(3):
            assert (await client.get("/alerts", headers=bearer(one))).status_code == 200
        limited = await client.get("/alerts", headers=bearer(one))
        assert code_of(limited, 429) == "rate_limited"
        assert 1 <= int(limited.headers["Retry-After"]) <= 60
        assert (await client.get("/alerts", headers=bearer(other))).status_code == 200


async def test_guessing_keys_is_limited_too(open_client: OpenClient) -> None:
    async with open_client(FakeScorer(), api_keys="required", requests_per_minute=3) as client:
        codes = [
            (await client.get("/alerts", headers=bearer(f"btx_{n}"))).status_code for n in range(5)
        ]
    assert codes == [401] * 3 + [429] * 2


async def test_without_keys_there_is_no_limit(open_client: OpenClient) -> None:
    async with open_client(FakeScorer(), requests_per_minute=1) as client:
        assert [(await client.get("/alerts")).status_code for _ in range(3)] == [200] * 3


async def test_what_is_no_key_is_never_looked_up_and_guesses_only_within_the_limit(
    open_client: OpenClient, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, looked_up = secret_of(store, "read"), []

    def spy(connection: Any, sought: str) -> Any:
        looked_up.append(sought)
        return find_key(connection, sought)

    monkeypatch.setattr(access, "find_key", spy)
    guesses = [f"btx_{n:043d}" for n in range(9)]
    async with open_client(FakeScorer(), api_keys="required", requests_per_minute=5) as client:
        for wrong in (secret[:-1], secret + "x", "x" * len(secret)):
            await client.get("/alerts", headers=bearer(wrong))
        assert looked_up == []
        assert (await client.get("/alerts", headers=bearer(secret))).status_code == 200
        codes = [(await client.get("/alerts", headers=bearer(g))).status_code for g in guesses]
        assert codes == [401] + [429] * 8
        assert looked_up == [secret, guesses[0]]
        assert (await client.get("/alerts", headers=bearer(secret))).status_code == 200
        basic = {"Authorization": f"Basic {secret}"}
        assert (await client.get("/alerts", headers=basic)).status_code == 429


async def test_no_secret_stays_in_memory(
    open_client: OpenClient, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[access.Access] = []
    made = access.Access.__init__

    def remember(self: access.Access, *arguments: Any) -> None:
        made(self, *arguments)
        opened.append(self)

    monkeypatch.setattr(access.Access, "__init__", remember)
    secret = secret_of(store, "read")
    async with open_client(FakeScorer(), api_keys="required") as client:
        for one in (secret, f"btx_{'x' * 43}"):
            await client.get("/alerts", headers=bearer(one))
    assert [len(one._cache) for one in opened] == [1]
    assert secret not in str(vars(opened[0]))


# --- off ---


FROM_ELSEWHERE = [
    {"Host": "evil.example"},
    {"Host": "localhost.evil.example:8000"},
    {"Host": "10.0.0.1:8000"},
    {"Host": "[::1"},
    {"Host": ""},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Host": "localhost", "Origin": "http://localhost.evil.example"},
]
FROM_HERE = [
    {"Host": "localhost:8000"},
    {"Host": "LOCALHOST"},
    {"Host": "127.0.0.1:8000"},
    {"Host": "127.1.2.3"},
    {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
    {"Origin": "http://localhost:3000"},
    {"Content-Type": "application/x-www-form-urlencoded"},  # as `curl -d` sends it
]


async def test_without_keys_this_machine_is_answered_and_no_web_page(
    open_client: OpenClient, store: Database
) -> None:
    async with open_client(FakeScorer()) as client:
        for headers in FROM_ELSEWHERE:
            for method, path in (("GET", "/alerts"), ("PUT", "/customers/c"), ("GET", "/docs")):
                answer = await client.request(method, path, headers=headers, content=b"{}")
                assert code_of(answer, 403) == "forbidden", headers
                assert set(answer.json()["error"]) == {"code", "message", "details"}
        with store.read() as connection:
            assert connection.execute(customers.select()).all() == []
        for headers in FROM_HERE:
            answer = await client.put("/customers/c", headers=headers, content=b'{"name": "Nile"}')
            assert answer.status_code == 200, headers


async def test_with_keys_the_service_may_have_any_name(guarded: httpx.AsyncClient) -> None:
    headers = {"Host": "brandtox.example.com", "Origin": "https://crm.example.com"}
    assert (await guarded.get("/healthz", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("localhost.example.com", False),
    ],
)
def test_keys_are_off_only_where_nobody_else_can_reach_the_service(host: str, local: bool) -> None:
    assert is_local(host) == local
    assert needs_keys(Settings(host=host)) == (not local)
    assert needs_keys(Settings(host=host, api_keys="required"))
    if local:
        assert not needs_keys(Settings(host=host, api_keys="off"))
    else:
        with pytest.raises(ValueError, match="refused"):
            needs_keys(Settings(host=host, api_keys="off"))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `brandtox` with a model that is none, and a server that ends at once."""
    monkeypatch.setattr(cli, "_load", lambda _: FakeScorer())
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: click.echo("served"))
    return lambda *arguments: CliRunner().invoke(cli.main, arguments)


def test_serve_says_loudly_that_no_keys_are_in_use(command: Any) -> None:
    quiet = command("serve", "--api-keys", "required")
    loud = command("serve")
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    assert loud.exit_code == 0
    assert loud.stderr.startswith("WARNING: no API keys are in use")


def test_serve_refuses_to_be_open_to_others(command: Any) -> None:
    result = command("serve", "--host", "0.0.0.0", "--api-keys", "off")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "refused on 0.0.0.0" in result.stderr
    assert command("serve", "--host", "0.0.0.0").exit_code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--webhook-url", "https://example.com/x"], "BRANDTOX_WEBHOOK_SECRET"),
        (["--webhook-url", "http://example.com/x", "--webhook-secret", "s3cret"], "https://"),
        (["--webhook-url", "https://a:b@x.com/", "--webhook-secret", "s3cret"], "without a user"),
        (["--database-url", "mysql://u:s3cret@h/x"], "neither sqlite nor postgresql"),
        (["--database-url", "postgresql://u:s3cret@/x?host=/nowhere"], "--database-url: "),
        (["--database-url", "sqlite:////nowhere/x.db"], "unable to open database file"),
    ],
)
def test_serve_tells_what_cannot_be_used_without_secrets(
    command: Any, options: list[str], says: str
) -> None:
    result = command("serve", "--api-keys", "required", *options)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert says in result.stderr
    assert "s3cret" not in result.stderr


def test_keys_are_made_listed_and_revoked_on_the_command_line(
    command: Any, store: Database
) -> None:
    made = command("keys", "create", "crm", "--scope", "write", "--scope", "read")
    assert made.exit_code == 0
    with store.read() as connection:
        key = find_key(connection, made.stdout.strip())
    assert key
    assert (key.name, sorted(key.scopes)) == ("crm", ["read", "write"])
    listed = command("keys", "list").stdout
    assert f"{key.id}  crm  read write  " in listed
    assert listed.endswith("  in use\n")
    assert made.stdout.strip() not in listed
    assert command("keys", "revoke", key.id).exit_code == 0
    assert "  revoked 20" in command("keys", "list").stdout
    again = command("keys", "revoke", key.id)
    assert (again.exit_code, again.stderr) == (1, f"Error: no key {key.id!r} is in use\n")
    assert command("keys", "create", "x").exit_code == 2
    assert command("keys", "create", "x", "--scope", "all").exit_code == 2


def test_keys_of_a_broken_store_are_an_error_that_can_be_read(command: Any, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database at all" * 99)
    result = command("keys", "list", "--database-url", f"sqlite:///{tmp_path / 'x.db'}")
    assert result.exit_code == 1
    assert "not a database" in result.stderr


# --- audit ---


async def test_decisions_exports_and_deletions_are_on_record_with_their_key(
    guarded: httpx.AsyncClient, store: Database
) -> None:
    secret = secret_of(store, "admin")
    headers = bearer(secret)
    decision = {"step": "warning", "decided_by": "Mona", "reason": "the secret reason"}
    await guarded.put("/customers/c1", json={}, headers=headers)
    await guarded.post("/customers/c1/decisions", json=decision, headers=headers)
    exported: Json = (await guarded.get("/customers/c1/export", headers=headers)).json()
    assert (await guarded.delete("/customers/c1", headers=headers)).status_code == 204
    missing = await guarded.get("/customers/c1/export", headers=headers)
    assert code_of(missing, 404) == "not_found"
    assert code_of(await guarded.delete("/customers/c1", headers=headers), 404) == "not_found"
    with store.read() as connection:
        found = trail(connection, "c1")
        key = find_key(connection, secret)
    assert key
    assert [row["action"] for row in found] == ["decision", "export", "delete"]
    assert {row["key_id"] for row in found} == {key.id}
    assert json.loads(found[0]["details"]) == {"step": "warning", "decided_by": "Mona"}
    assert exported["decisions"][0]["reason"] == "the secret reason"
    assert [row["action"] for row in exported["audit"]] == ["decision", "export"]


async def test_without_keys_the_audit_has_none(open_client: OpenClient, store: Database) -> None:
    async with open_client(FakeScorer(), Clock()) as client:
        await client.put("/customers/c1", json={})
        await client.get("/customers/c1/export")
    with store.read() as connection:
        (row,) = trail(connection, "c1")
    assert (row["key_id"], row["at"], row["action"]) == (None, NOW, "export")
