"""Downloads: https only, resumed where they stopped, and nameless until their SHA-256 is right."""

import os
import ssl
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from tenfold.datasets.dataset import Progress
from tenfold.datasets.identity import file_sha256
from tenfold.errors import DataError

TIMEOUT = 4.0
"""Seconds that a connection, or the next bytes of it, may take."""
BLOCK = 1 << 18
HTTPS = "https://"


class HttpsOnly(HTTPRedirectHandler):
    """Follows redirects to https only."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The redirected request; DataError if it leaves https."""
        if not newurl.startswith(HTTPS):
            fp.close()
        check_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_https(url: str) -> None:
    """DataError unless it is an https address."""
    if not url.startswith(HTTPS):
        raise DataError(f"{url} is refused: downloads are https only.")


def opener() -> OpenerDirector:
    """An opener that knows https and nothing else (no http, ftp, file)."""
    director = OpenerDirector()
    context = ssl.create_default_context()
    for handler in (
        ProxyHandler(), HTTPSHandler(context=context), HttpsOnly(), HTTPDefaultErrorHandler(), HTTPErrorProcessor()
    ):  # fmt: skip
        director.add_handler(handler)
    return director


def fetch(url: str, target: Path, size: int, sha256: str, progress: Progress) -> None:
    """Download `size` bytes to `target`, going on with `target`.part if there is one; DataError if it fails."""
    check_https(url)
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        receive(url, part, size, progress)
        found = file_sha256(part)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{url} cannot be downloaded: {reason}.") from None
    if found != sha256:
        part.unlink()
        raise DataError(
            f"What came from {url} is not the official file (SHA-256 {found}, expected {sha256}); it was deleted.",
            "Download it again.",
        )
    part.replace(target)


def receive(url: str, part: Path, size: int, progress: Progress) -> None:
    """Append to `part` what it lacks; OSError if the connection fails or ends early."""
    done = part.stat().st_size if part.exists() else 0
    if done < size:
        with answer(url, part, done) as response, part.open("ab") as file:
            if response.status != 206:  # The server does not resume: it sends everything.
                file.truncate(0)
            copy(response, file, size, progress)
        done = part.stat().st_size
    if done < size:
        raise OSError(f"the connection ended after {done:,} of {size:,} bytes; the next attempt goes on from there")


def answer(url: str, part: Path, done: int) -> HTTPResponse:
    """The server's answer to a request for everything from byte `done` on."""
    headers = {"Range": f"bytes={done}-"} if done else {}
    try:
        response: HTTPResponse = opener().open(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # "Range not satisfiable": the partial file belongs to something else.
            part.unlink()
        raise
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        response.close()
        raise OSError("the server sent another range than asked for")
    return response


def copy(response: HTTPResponse, file: IO[bytes], size: int, progress: Progress) -> None:
    """Write the answer to the end of `file`, never beyond `size` bytes, and bring it to the disk."""
    done = file.seek(0, os.SEEK_END)
    while done < size and (block := response.read(min(BLOCK, size - done))):
        file.write(block)
        done += len(block)
        progress("downloading", done, size)
    file.flush()
    os.fsync(file.fileno())
