"""Delivery of alerts to one URL: signed, tried again, never to an address of the own network."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import msgspec

from serving.store.alerts import Due, claim_due, delivered, failed
from serving.store.database import Database

log = logging.getLogger(__name__)

_LEASE_SECONDS = 60.0
_TIMEOUT_SECONDS = 10.0
_IDLE_SECONDS = 2.0
_BATCH = 5
"""Few enough to be sent within the lease, however slow the receiver is."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
SIGNATURE = "X-Brandtox-Signature"

Resolve = Callable[[str, int], list[str]]


class WebhookError(Exception):
    """The URL cannot be used, with the reason."""


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def check_url(url: str) -> tuple[str, int]:
    """The URL's host and port.

    Raises:
        WebhookError: it is not HTTPS, has no host, or names a user.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 443
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise WebhookError(f"the webhook is no URL: {error}") from error
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
        raise WebhookError("the webhook must be an https:// URL without a user")
    return parts.hostname, port


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
    if isinstance(parsed, ipaddress.IPv6Address) and (inner := _embedded(parsed)) is not None:
        parsed = inner
    return parsed.is_global and not parsed.is_multicast


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, or behind a NAT64."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._database = database
        self._url = url
        self._secret = secret
        self._clock = clock
        self._resolver = resolver
        self._client = httpx.Client(
            timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False, transport=transport
        )
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
        self._client.close()

    def turn(self) -> bool:
        """Try what is due; returns whether there was anything."""
        with self._database.begin() as connection:
            due = claim_due(connection, self._clock(), _LEASE_SECONDS, _BATCH)
        for item in due:
            arrived = self._send(item)
            with self._database.begin() as connection:
                (delivered if arrived else failed)(connection, item, self._clock())
        return bool(due)

    def _send(self, item: Due) -> bool:
        body = msgspec.json.encode(item.body)
        try:
            address, host, port = public_address(self._url, self._resolver)
            shown = f"[{address}]" if ":" in address else address
            url = httpx.URL(self._url).copy_with(host=shown, port=port)
            response = self._client.post(
                url,
                content=body,
                headers={
                    "Host": host if port == 443 else f"{host}:{port}",
                    "Content-Type": "application/json",
                    SIGNATURE: signature(self._secret, self._clock(), body),
                },
                extensions={"sni_hostname": host},
            )
        except (WebhookError, httpx.HTTPError) as error:
            log.warning("alert %d was not delivered: %s", item.seq, error)
            return False
        if response.is_success:
            return True
        log.warning("alert %d was answered %d", item.seq, response.status_code)
        return False
