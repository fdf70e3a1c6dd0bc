"""Images go only where the user said they may."""

import ipaddress
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit
from urllib.request import getproxies, proxy_bypass

from gpt4image.errors import EndpointError, SettingsError

SECRET = re.compile(r"key|token|secret|password|passwd|signature|\bsig\b|\bauth", re.IGNORECASE)
"""Names of parameters in an address that hold one."""


def check_endpoints(urls: Sequence[str], allow_remote: bool, sees: str = "image") -> None:
    """Checks every endpoint before the first request; `sees` says what is sent there.

    Raises:
        SettingsError: there is none, or one is no URL, or has a password in it.
        EndpointError: one is on the internet and `allow_remote` is False.
    """
    if not urls:
        raise SettingsError("--describer endpoint needs --endpoint URL, such as http://localhost:11434/v1")
    for url in urls:
        _check_form(url)
        if not allow_remote and not is_nearby(url):
            raise EndpointError(
                f"{url} is not on this machine or a private network, and would see every {sees}; "
                "add --allow-remote if that is intended"
            )


def _check_form(url: str) -> None:
    is_url = False
    with suppress(ValueError):  # A port or an IPv6 address may be none.
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    if not is_url:
        masked = re.sub("//.*@", "//***@", url)
        raise SettingsError(f"--endpoint {masked} must be a URL such as http://localhost:8000/v1")
    if parts.username or parts.password:
        raise SettingsError(
            f"--endpoint {parts.scheme}://***@{parts.hostname} holds a password; put the key into "
            "an environment variable and name it with --api-key-env"
        )

    secret = next((name for name, _ in parse_qsl(parts.query) if SECRET.search(name)), None)
    if secret is not None:
        raise SettingsError(
            f"--endpoint {parts.scheme}://{parts.hostname}{parts.path}?{secret}=*** holds a key; put it into an "
            "environment variable and name it with --api-key-env"
        )


def is_nearby(url: str) -> bool:
    """Whether every address of the URL's host is loopback, link-local or private.

    A host that only a proxy can find is not nearby.

    Raises:
        EndpointError: the host has no address.
    """
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        # A proxy that the environment names may find it.
        proxies = getproxies()
        if (proxies.get(urlsplit(url).scheme) or proxies.get("all")) and not proxy_bypass(host):
            return False
        raise EndpointError(
            f"{url}: the host {host} cannot be found ({getattr(error, 'strerror', error)}); check --endpoint, "
            "or name the proxy that can find it in HTTPS_PROXY"
        ) from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return all(address.is_private or address.is_loopback or address.is_link_local for address in addresses)
