"""Addresses, and what a server says of a file before it is fetched.

The hub's own protocol in short: `/REPOSITORY/resolve/REVISION/PATH` answers with a redirect to a
store, and says in its own headers the commit, the size and, for large files, the sha256.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from models.errors import PullFailed
from models.pulling.source import Archive, HubFile, WebFile

if TYPE_CHECKING:
    import httpx

Remote = HubFile | WebFile | Archive

PUBLIC_HUB: Final = "https://huggingface.co"
RESUME = "what came is kept, and the same command goes on from there"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONNECT_SECONDS = 15.0
_SILENCE_SECONDS = 60.0  # between two pieces of a file
_NO_HEAD = frozenset([403, 405, 501])
_TRANSIENT = frozenset([408, 425, 429, 500, 502, 503, 504])


class Transient(PullFailed):
    """A failure that may pass by itself.

    pause_seconds: how long the server asks to wait; None where it does not say.
    """

    def __init__(self, message: str, pause_seconds: float | None = None) -> None:
        super().__init__(message)
        self.pause_seconds = pause_seconds


@dataclass(frozen=True)
class Told:
    """What a server says of a file; None where it says nothing.

    sha256: of the content, from the hub. etag: strong, of the answer that holds the content.
    """

    size: int | None
    sha256: str | None
    commit: str | None
    etag: str | None


@dataclass(frozen=True)
class Web:
    """The way to the network: a client that keeps its connections, and how to wait."""

    client: httpx.Client
    pause: Callable[[float], None] = field(repr=False)

    def ask(self, remote: Remote) -> Told:
        """What the server says of a file, without its content. Raises PullFailed, Transient."""
        import httpx

        with told_plainly(remote):
            request = self.client.build_request("HEAD", address(remote), headers=_headers(remote))
            for _ in range(10):
                response = self.client.send(request, follow_redirects=False)
                # The hub's own answer says all; its store may refuse to be asked by HEAD.
                if "x-linked-size" in response.headers or response.next_request is None:
                    break
                request = response.next_request
            else:
                raise httpx.TooManyRedirects("too many redirects", request=request)
            if response.status_code in _NO_HEAD and not isinstance(remote, HubFile):
                return Told(None, None, None, None)  # signed addresses are for GET alone
            if response.next_request is None:
                check_status(remote, response)
            return told(response)

    @contextmanager
    def content(self, remote: Remote, extra: dict[str, str]) -> Iterator[httpx.Response]:
        """The answer with the file's content, its body not yet read.

        The token goes to the hub alone: httpx drops it where a redirect leads to another host.
        """
        headers = {**_headers(remote), **extra}
        with (
            told_plainly(remote),
            self.client.stream(
                "GET", address(remote), headers=headers, follow_redirects=True
            ) as response,
        ):
            yield response


@contextmanager
def open_web() -> Iterator[Web]:
    """A way to the network while the context lasts; proxies as the environment says."""
    import time

    import httpx

    timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
    headers = {"User-Agent": f"limner/{_version()}", "Accept-Encoding": "identity"}
    with httpx.Client(timeout=timeout, headers=headers) as client:
        yield Web(client, time.sleep)


def address(remote: Remote) -> str:
    """The address a file is fetched from; HF_ENDPOINT names a mirror of the hub."""
    if isinstance(remote, HubFile):
        from huggingface_hub import hf_hub_url

        return hf_hub_url(
            remote.repository, remote.path, revision=remote.revision, endpoint=_endpoint()
        )
    return remote.url


def told(response: httpx.Response) -> Told:
    """What an answer, and the redirects that led to it, say of the file."""
    said: dict[str, str] = {}
    for answer in (*response.history, response):
        for name in ("x-linked-size", "x-linked-etag", "x-repo-commit"):
            if name in answer.headers:
                said.setdefault(name, answer.headers[name])
    size = said.get("x-linked-size") or response.headers.get("content-length")
    linked = said.get("x-linked-etag", "").strip('"')
    etag = response.headers.get("etag")
    return Told(
        size=int(size) if size and size.isdecimal() else None,
        sha256=linked if _SHA256.fullmatch(linked) else None,
        commit=said.get("x-repo-commit"),
        etag=etag if etag and not etag.startswith("W/") else None,
    )


def check_status(remote: Remote, response: httpx.Response) -> None:
    """Raise what a status that is no success means: PullFailed, or Transient where it may pass."""
    status = response.status_code
    if response.is_success:
        return
    if status in _TRANSIENT:
        wait = response.headers.get("retry-after", "")
        raise Transient(
            f"{_host(response)} answers {status} for {_named(remote)}; try again later: {RESUME}",
            float(wait) if wait.isdecimal() else None,
        )
    if status in (401, 403) and isinstance(remote, HubFile):
        page = f"{_endpoint()}/{remote.repository}"
        raise PullFailed(
            f"{remote.repository} is not open to everyone ({status}): accept its terms at {page}, "
            "and set HF_TOKEN to a token of your own from that account"
        )
    if status in (404, 410):
        raise PullFailed(
            f"{address(remote)} is not there ({status}): it was moved, or the description names it "
            "wrongly; correct the description"
        )
    raise PullFailed(f"{address(remote)} answers {status}; look at it in a browser, then try again")


@contextmanager
def told_plainly(remote: Remote) -> Iterator[None]:
    """httpx's own errors as PullFailed or Transient, with what to do."""
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        host = httpx.URL(address(remote)).host
        if _is_tls(error):
            raise PullFailed(
                f"the certificate of {host} is not trusted: {_words(error)}; check this machine's "
                "clock and proxy, or name the right authority in SSL_CERT_FILE"
            ) from error
        if isinstance(error, httpx.UnsupportedProtocol | httpx.ProxyError):
            raise PullFailed(f"{address(remote)}: {_words(error)}; correct it") from error
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            raise Transient(
                f"{host} cannot be reached: {_words(error)}; connect to the network, or name a "
                f"mirror in HF_ENDPOINT or a proxy in HTTPS_PROXY; {RESUME}"
            ) from error
        raise Transient(f"the connection to {host} broke off: {_words(error)}; {RESUME}") from error
    except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
        raise PullFailed(f"{address(remote)}: {_words(error)}; correct the description") from error


def _headers(remote: Remote) -> dict[str, str]:
    if not isinstance(remote, HubFile):
        return {}
    from huggingface_hub import get_token

    # A token that was logged in with is the hub's own; a mirror gets one only if it is named here.
    mirrored = _endpoint() != PUBLIC_HUB
    token = os.environ.get("HF_TOKEN") if mirrored else get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _endpoint() -> str:
    from huggingface_hub.constants import ENDPOINT

    return (os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")


def _is_tls(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _named(remote: Remote) -> str:
    return remote.url if isinstance(remote, Archive) else str(remote)


def _host(response: httpx.Response) -> str:
    return str(response.request.url.host)


def _version() -> str:
    try:
        return version("limner")
    except PackageNotFoundError:
        return "0"
