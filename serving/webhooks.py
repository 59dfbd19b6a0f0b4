"""Delivery of alerts to one URL: signed, tried again, never to an address of the own network."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Sequence

import httpx
import msgspec

from serving.store.alerts import Due, claim_due, delivered, failed, is_due
from serving.store.database import Database

log = logging.getLogger(__name__)

_LEASE_SECONDS = 60.0
_DEADLINE_SECONDS = 10.0
"""Of a whole delivery, however slowly the receiver answers."""

_IDLE_SECONDS = 2.0
_BATCH = 5
"""Few enough for all their deadlines to end within the lease."""

_UNICAST = ipaddress.ip_network("2000::/3")
_6TO4_RELAYS = ipaddress.ip_network("192.88.99.0/24")
SIGNATURE = "X-Brandtox-Signature"

Resolve = Callable[[str, int], list[str]]


class WebhookError(Exception):
    """The URL cannot be used, with the reason."""


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def check_url(url: str) -> tuple[str, int]:
    """The URL's host, in IDNA where it is not in ASCII, and its port.

    Raises:
        WebhookError: it is not HTTPS, has no host, or names a user.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise WebhookError(f"the webhook is no URL: {error}") from error
    if parsed.scheme != "https" or not parsed.raw_host or parsed.userinfo:
        raise WebhookError("the webhook must be an https:// URL without a user")
    port = 443 if parsed.port is None else parsed.port
    if not 0 < port < 65_536:
        raise WebhookError(f"the webhook is no URL: no port is {port}")
    return parsed.raw_host.decode("ascii"), port


def public_address(url: str, resolver: Resolve = resolve) -> tuple[str, str, int]:
    """An address of the URL's host to connect to, the host, and the port.

    The connection is made to the address that was checked: a name that resolves to another one a
    moment later reaches nothing inside.

    Raises:
        WebhookError: it is not HTTPS, has no host, or any of its addresses is not public.
    """
    host, port = check_url(url)
    try:
        addresses = resolver(host, port)
        public = all(_is_public(address) for address in addresses)
    except (OSError, ValueError) as error:
        raise WebhookError(f"{host} cannot be found: {error}") from error
    if not addresses or not public:
        raise WebhookError(f"{host} is not a public address")
    return addresses[0], host, port


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not parsed.is_multicast and parsed not in _6TO4_RELAYS
    # Mapped and NAT64 addresses, behind which an IPv4 one of the own network may stand, lie elsewhere.
    return (
        parsed.is_global
        and parsed in _UNICAST
        and parsed.sixtofour is None
        and parsed.teredo is None
    )


def signature(secret: str, at: float, body: bytes) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 of "SECONDS.BODY", so that an old delivery cannot be replayed."""
    stamp = str(int(at))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return f"t={stamp},v1={digest.hexdigest()}"


class Deliverer:
    """Sends due alerts, in a thread of its own, until it is stopped."""

    def __init__(
        self,
        database: Database,
        url: str,
        secret: str,
        clock: Callable[[], float],
        resolver: Resolve = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._database = database
        self._url = url
        self._secret = secret
        self._clock = clock
        self._resolver = resolver
        self._transport = transport
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                busy = self.turn()
            except Exception:
                log.exception("delivering alerts failed; it is tried again")
                busy = False
            if not busy:
                self._stop.wait(_IDLE_SECONDS)

    def turn(self) -> bool:
        """Try what is due; returns whether there was anything."""
        with self._database.read() as connection:
            if not is_due(connection, self._clock()):
                return False
        with self._database.begin() as connection:
            due = claim_due(connection, self._clock(), _LEASE_SECONDS, _BATCH)
        if due:
            asyncio.run(self._deliver(due))
        return bool(due)

    async def _deliver(self, due: Sequence[Due]) -> None:
        async with httpx.AsyncClient(
            timeout=_DEADLINE_SECONDS,
            follow_redirects=False,
            trust_env=False,
            transport=self._transport,
        ) as client:
            for item in due:
                arrived = await self._send(client, item)
                with self._database.begin() as connection:  # nothing else waits for this loop
                    (delivered if arrived else failed)(connection, item, self._clock())

    async def _send(self, client: httpx.AsyncClient, item: Due) -> bool:
        """Whether the receiver took it. Of its answer only the status is read; of an error only the
        type is told, for its words may be anybody's.
        """
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                status = await self._post(client, msgspec.json.encode(item.body))
        except Exception as error:
            log.warning("alert %d was not delivered: %s", item.seq, type(error).__name__)
            return False
        if httpx.codes.is_success(status):
            return True
        log.warning("alert %d was answered %d", item.seq, status)
        return False

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> int:
        address, host, port = await asyncio.to_thread(public_address, self._url, self._resolver)
        shown = f"[{address}]" if ":" in address else address
        async with client.stream(
            "POST",
            httpx.URL(self._url).copy_with(host=shown, port=port),
            content=body,
            headers={
                "Host": host if port == 443 else f"{host}:{port}",
                "Content-Type": "application/json",
                SIGNATURE: signature(self._secret, self._clock(), body),
            },
            extensions={"sni_hostname": host},
        ) as response:
            return response.status_code
