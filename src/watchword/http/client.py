"""Who sent a request: the client's address behind trusted proxies, and its user agent.

`X-Forwarded-For` counts only when the peer itself is trusted; then the right-most hop that is not is the client.
Sources: ASVS 5.0 4.1.3, 15.3.4; SECURITY-TARGET attacks 78, 89.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from watchword.core.session import MAX_USER_AGENT, Client
from watchword.http.problem import Scope


class ClientAddresses:
    """Resolves clients under a list of trusted proxies (addresses and networks)."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = tuple(ip_network(network) for network in trusted_proxies)

    def client(self, scope: Scope) -> Client:
        peer = scope.get("client")
        address = _address(peer[0]) if peer else None
        forwarded: list[bytes] = []
        user_agent = b""
        for name, value in scope["headers"]:
            if name == b"user-agent":
                user_agent = value
            elif name == b"x-forwarded-for":
                forwarded.append(value)
        if forwarded and self._trusts(address):
            address = self._behind_proxies(address, b",".join(forwarded).decode("latin-1").split(","))
        text = user_agent[:MAX_USER_AGENT].decode("latin-1")
        if not text.isprintable():
            text = "".join(filter(str.isprintable, text))
        return Client(ip=str(address) if address else "", user_agent=text)

    def _behind_proxies(self, peer: _Address | None, hops: Sequence[str]) -> _Address | None:
        """Walk from the nearest hop outwards while it is trusted; a hop that is no address ends the walk."""
        for hop in reversed(hops):
            address = _address(hop.strip()[:_LONGEST])  # what is kept must not grow
            if address is None:
                return peer
            peer = address
            if not self._trusts(address):
                return peer
        return peer

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(
            address.version == network.version and address in network for network in self._trusted
        )


_Address = IPv4Address | IPv6Address
_LONGEST = 64
_LAST_PORT = 65_535


_WITH_PORT = re.compile(r"(?:\[([^\[\]]*:[^\[\]]*)\]|([0-9.]+))(?::([1-9][0-9]{0,4}))?", re.ASCII)
"""IPv4, or IPv6 in brackets, and a port or none: what some proxies write (RFC 7239 §6 has the same forms)."""


@lru_cache(4096)
def _address(text: str) -> _Address | None:
    """One spelling an address: no zone, no port, IPv4 instead of IPv4-mapped IPv6. None for what is none."""
    found = _WITH_PORT.fullmatch(text)
    if found and int(found[3] or 1) > _LAST_PORT:
        return None
    bare = found[1] or found[2] if found else text
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
