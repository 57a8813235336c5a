"""Downloads from a real https server on this machine: resumed, verified, https only, and quick to give up."""

import shutil
import ssl
import subprocess
import threading
import time
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tenfold.datasets import cifar, cifar_cache, download
from tenfold.datasets.dataset import silent
from tenfold.errors import DataError

CONTENT = bytes(range(256)) * 4000
DIGEST = sha256(CONTENT).hexdigest()

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the test server's certificate")


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT in the manner that the path names."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        getattr(self, "get_" + self.path.strip("/"))()

    def get_file(self):
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.answer(206 if start else 200, CONTENT[start:], **{"Content-Range": f"bytes {start}-/"} if start else {})

    def get_whole(self):
        self.answer(200, CONTENT)

    def get_short(self):
        self.answer(200, CONTENT[:1000])

    def get_long(self):
        self.answer(200, CONTENT + b"surplus")

    def get_elsewhere(self):
        self.answer(206, CONTENT[7:], **{"Content-Range": "bytes 7-/"})

    def get_unsatisfiable(self):
        self.answer(416, b"")

    def get_missing(self):
        self.answer(404, b"")

    def get_moved(self):
        self.answer(302, b"", Location=self.server.url + "file")

    def get_downgraded(self):
        self.answer(302, b"", Location="http://127.0.0.1/file")

    def get_silent(self):
        self.server.over.wait(10)

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_given):
        """Nothing."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


@pytest.fixture
def server(certificate, monkeypatch):
    key, public = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, key)
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    served.handle_error = lambda *_given: None  # A client that hangs up is part of the tests.
    served.url, served.asked, served.over = f"https://127.0.0.1:{served.server_port}/", [], threading.Event()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    yield served
    served.over.set()
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "file.tar.gz"


@pytest.fixture
def part(target):
    target.parent.mkdir()
    return target.with_name("file.tar.gz.part")


def fetch(server, path, target, progress=silent):
    download.fetch(server.url + path, target, len(CONTENT), DIGEST, progress)


def test_downloads_verifies_and_names(server, target):
    seen = []
    fetch(server, "file", target, lambda what, done, total: seen.append((what, done, total)))
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert seen[-1] == ("downloading", len(CONTENT), len(CONTENT))


def test_resumes_where_it_stopped(server, target, part):
    part.write_bytes(CONTENT[:300_000])
    fetch(server, "file", target)
    assert server.asked == [("/file", "bytes=300000-")]
    assert target.read_bytes() == CONTENT
    assert not part.exists()


def test_a_complete_part_is_only_verified(server, target, part):
    part.write_bytes(CONTENT)
    fetch(server, "file", target)
    assert server.asked == []
    assert target.read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_everything(server, target, part):
    part.write_bytes(b"old" * 1000)
    fetch(server, "whole", target)
    assert target.read_bytes() == CONTENT


def test_an_early_end_keeps_the_part_for_the_next_attempt(server, target):
    with pytest.raises(DataError, match="ended after 1,000 of 1,024,000 bytes; the next attempt goes on"):
        fetch(server, "short", target)
    assert not target.exists()
    fetch(server, "file", target)
    assert server.asked[-1] == ("/file", "bytes=1000-")
    assert target.read_bytes() == CONTENT


def test_never_more_than_the_size(server, target):
    fetch(server, "long", target)
    assert target.read_bytes() == CONTENT


def test_wrong_content_is_deleted(server, target, part):
    part.write_bytes(b"x" + CONTENT[1:300_000])
    with pytest.raises(DataError, match="not the official file") as caught:
        fetch(server, "file", target)
    assert caught.value.remedy == "Download it again."
    assert list(target.parent.iterdir()) == []


def test_another_range_than_asked_for(server, target, part):
    part.write_bytes(CONTENT[:300_000])
    with pytest.raises(DataError, match="another range"):
        fetch(server, "elsewhere", target)
    assert part.stat().st_size == 300_000


def test_a_part_that_the_server_does_not_know_is_dropped(server, target, part):
    part.write_bytes(CONTENT[:300_000])
    with pytest.raises(DataError, match="cannot be downloaded"):
        fetch(server, "unsatisfiable", target)
    assert not part.exists()


def test_follows_https_redirects(server, target):
    fetch(server, "moved", target)
    assert target.read_bytes() == CONTENT


def test_refuses_a_redirect_to_http(server, target):
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1/file is refused: downloads are https only"):
        fetch(server, "downgraded", target)
    assert not target.exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1/file", "ftp://127.0.0.1/file", "file:///etc/passwd"])
def test_refuses_other_schemes(url, target):
    with pytest.raises(DataError, match="https only"):
        download.fetch(url, target, 1, DIGEST, silent)


def test_a_missing_page(server, target):
    with pytest.raises(DataError, match=r"missing cannot be downloaded: Not Found"):
        fetch(server, "missing", target)


def test_an_unknown_certificate_is_refused(server, target, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(DataError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(server, "file", target)


def test_a_silent_server_is_given_up(server, target, monkeypatch):
    assert download.TIMEOUT <= 5
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    begin = time.monotonic()
    with pytest.raises(DataError, match="timed out"):
        fetch(server, "silent", target)
    assert time.monotonic() - begin < 3


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be downloaded"):
        fetch(server, "file", tmp_path / "file" / "target")


def test_cifar_downloads_into_the_cache_folder(server, tmp_path, monkeypatch):
    """Up to the decoding, which test_cifar.py covers: CONTENT has the right SHA-256 but is no archive."""
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path))
    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    monkeypatch.setattr(cifar, "URL", server.url + "file")
    monkeypatch.setattr(cifar, "DOWNLOAD_SIZE", len(CONTENT))
    monkeypatch.setattr(cifar, "LAYOUTS", (replace(cifar.BINARY, sha256=DIGEST), cifar.PYTHON))
    with pytest.raises(DataError, match="cannot be read"):
        cifar.load()
    archive = tmp_path / "cifar10" / cifar.BINARY.archive
    assert archive.read_bytes() == CONTENT
    assert cifar_cache.is_verified(archive, DIGEST)
