"""A server on the loopback interface that speaks as much of S3 as caches take: HEAD, ranges, ListObjectsV2, PUT."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


def _unchunked(data: bytes) -> bytes:
    """Take apart what a client sends that adds a checksum at the end: sizes in hex, each before its bytes."""
    parts = []
    while data:
        head, _, data = data.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if size == 0:
            break
        parts.append(data[:size])
        data = data[size + 2 :]
    return b"".join(parts)


class Bucket:
    """A bucket of objects (key → bytes); a context manager that serves it at `address`."""

    def __init__(self, name: str, objects: dict[str, bytes]) -> None:
        self.name, self.objects = name, objects
        self.ranges: list[str] = []
        self.full = False
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def do_PUT(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if "aws-chunked" in self.headers.get("Content-Encoding", ""):
                    data = _unchunked(data)
                _, name, key = unquote(urlsplit(self.path).path).split("/", 2)
                if name != bucket.name or bucket.full:
                    self._send(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", True)
                    return
                bucket.objects[key] = data
                self._send(200, b"", True)

            def _answer(self, body: bool) -> None:
                parts = urlsplit(self.path)
                _, name, *key = unquote(parts.path).split("/", 2)
                asked = parse_qs(parts.query)
                if name != bucket.name:
                    self._send(404, b"<Error><Code>NoSuchBucket</Code></Error>", body)
                elif "list-type" in asked or not (key and key[0]):
                    self._send(200, bucket.listed(asked).encode(), body)
                elif key[0] not in bucket.objects:
                    self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", body)
                else:
                    self._send_object(bucket.objects[key[0]], body)

            def _send_object(self, data: bytes, body: bool) -> None:
                found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
                if found is None:
                    self._send(200, data, body)
                    return
                bucket.ranges.append(found[0])
                first, last = int(found[1]), int(found[2] or len(data) - 1)
                if first >= len(data):
                    self._send(416, b"<Error><Code>InvalidRange</Code></Error>", body)
                    return
                part = data[first : last + 1]
                self._send(206, part, body, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"})

            def _send(self, status: int, data: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("ETag", '"1"')
                self.send_header("Last-Modified", "Sun, 29 Nov 2026 00:00:00 GMT")
                for key, value in (headers or {}).items():
                    self.send_header(key, value)
                self.end_headers()
                if body:
                    self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def listed(self, asked: dict[str, list[str]]) -> str:
        """Return the answer of ListObjectsV2."""
        prefix, delimiter = asked.get("prefix", [""])[0], asked.get("delimiter", [""])[0]
        contents, common = [], set()
        for key, data in sorted(self.objects.items()):
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                common.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            contents.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>&quot;1&quot;</ETag>"
                "<LastModified>2026-11-29T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            )
        folders = "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(common))
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{self.name}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(contents)}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{''.join(contents)}{folders}</ListBucketResult>"
        )

    def __enter__(self) -> Bucket:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()
