"""An S3 server for tests: buckets in memory, the requests that pyarrow's client makes, no more.

It checks that requests are signed with the access key that it knows, not the signature itself. Faults are its
attributes: `refusing` answers every request for an object with that status, `refusing_part` that part of an upload with
403. $TUNER_TEST_S3 names another server to test on, such as
`s3://bucket/prefix?endpoint_override=127.0.0.1:9000&scheme=http`, with its credentials in the usual variables.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from tuner.storage import below

VARIABLE = "TUNER_TEST_S3"
BUCKET = "bucket"
KEY, SECRET = "a-test-key", "a-test-secret"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",  # the client would ask the network for the machine's role
}


class S3Server(ThreadingHTTPServer):
    """Objects by bucket and key. Serves until it is closed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.buckets: dict[str, dict[str, bytes]] = {BUCKET: {}}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.requests: list[str] = []
        self.refusing = 0
        self.refusing_part = 0

    def handle_error(self, request, client_address) -> None:
        """A client that was killed is no error of the server's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def objects(self) -> dict[str, bytes]:
        """What the bucket holds, without the empty markers of folders."""
        return {key: data for key, data in self.buckets[BUCKET].items() if not key.endswith("/")}

    def url(self, prefix: str = "", bucket: str = BUCKET) -> str:
        """A storage on this server."""
        host, port = self.server_address[:2]
        return f"s3://{bucket}/{prefix}?endpoint_override={host}:{port}&scheme=http&region=us-east-1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3Server

    def log_message(self, *args) -> None:
        pass

    def do_HEAD(self) -> None:
        self.handle_request()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.body()
        self.server.requests.append(f"{self.command} {key}")
        if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            self.fail(403, "AccessDenied")
        elif bucket not in self.server.buckets:
            self.fail(404, "NoSuchBucket")
        elif key and self.server.refusing:
            self.fail(self.server.refusing, "AccessDenied")
        elif not key:
            self.of_bucket(self.server.buckets[bucket], query, body)
        elif "uploads" in query or "uploadId" in query:
            self.of_upload(self.server.buckets[bucket], key, query, body)
        else:
            self.of_object(self.server.buckets[bucket], key, body)

    def of_bucket(self, objects: dict[str, bytes], query: dict[str, str], body: bytes) -> None:
        if self.command == "POST" and "delete" in query:
            for key in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                objects.pop(key, None)
            self.answer(200, xml("DeleteResult", ""))
        elif self.command == "GET":
            prefix = query.get("prefix", "")
            keys = sorted(key for key in objects if key.startswith(prefix))
            after, most = query.get("continuation-token", ""), int(query.get("max-keys", 1000))
            page = [key for key in keys if key > after][:most]
            more = bool(page) and page[-1] != keys[-1]
            self.answer(200, listing(objects, page, more=more))
        else:
            self.answer(200)

    def of_upload(self, objects: dict[str, bytes], key: str, query: dict[str, str], body: bytes) -> None:
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self.server.uploads[upload] = {}
            self.answer(
                200, xml("InitiateMultipartUploadResult", f"<Key>{escape(key)}</Key><UploadId>{upload}</UploadId>")
            )
        elif self.command == "PUT" and int(query["partNumber"]) == self.server.refusing_part:
            self.fail(403, "AccessDenied")
        elif self.command == "PUT":
            self.server.uploads[query["uploadId"]][int(query["partNumber"])] = body
            self.answer(200)
        elif self.command == "POST":
            parts = self.server.uploads.pop(query["uploadId"])
            objects[key] = b"".join(parts[number] for number in sorted(parts))
            self.answer(200, xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key><ETag>e</ETag>"))
        else:
            self.server.uploads.pop(query["uploadId"], None)
            self.answer(204)

    def of_object(self, objects: dict[str, bytes], key: str, body: bytes) -> None:
        if self.command == "PUT":
            objects[key] = body
            self.answer(200)
        elif self.command == "DELETE":
            objects.pop(key, None)
            self.answer(204)
        elif key not in objects:
            self.fail(404, "NoSuchKey")
        else:
            data, status = objects[key], 200
            if wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
                data, status = data[int(wanted[1]) : int(wanted[2]) + 1], 206
            self.answer(status, data)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b"".join(self.chunks())
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return without_signatures(data) if "x-amz-decoded-content-length" in self.headers else data

    def chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def fail(self, status: int, code: str) -> None:
        self.answer(status, xml("Error", f"<Code>{code}</Code><Message>{code} on purpose</Message>"))

    def answer(self, status: int, data: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"e"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def listing(objects: dict[str, bytes], keys: list[str], *, more: bool) -> bytes:
    """The answer to list-type=2."""
    rows = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<Size>{len(objects[key])}</Size></Contents>"
        for key in keys
    )
    rest = f"<NextContinuationToken>{escape(keys[-1])}</NextContinuationToken>" if more else ""
    return xml("ListBucketResult", f"<IsTruncated>{str(more).lower()}</IsTruncated>{rest}{rows}")


def xml(root: str, content: str) -> bytes:
    """A document."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{content}</{root}>'.encode()


def without_signatures(data: bytes) -> bytes:
    """The content of an aws-chunked body: chunks of `SIZE;...`, then trailers."""
    content = b""
    while data:
        head, _, data = data.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            break
        content, data = content + data[:size], data[size + 2 :]
    return content


@contextmanager
def running_server() -> Iterator[S3Server]:
    """A server in a thread of this process."""
    with S3Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A server of this test's own, and credentials for it in the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with running_server() as server:
        yield server


@pytest.fixture
def s3_url(s3: S3Server) -> str:
    """An empty place on that server."""
    return s3.url(f"a/{uuid.uuid4().hex}")


@pytest.fixture
def given_s3_url() -> str:
    """An empty place on the server that is given."""
    given = os.environ.get(VARIABLE)
    if not given:
        pytest.skip(f"no other S3 server is given: set {VARIABLE}=s3://BUCKET?..., and its credentials")
    return str(below(given, uuid.uuid4().hex))
