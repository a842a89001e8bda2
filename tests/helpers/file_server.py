"""A loopback web server with one file, which misbehaves on request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server does, and what it was asked.

    Attributes:
        cuts: bytes after which each coming reply breaks off; replies after these are whole.
        ranges: whether it can send a part.
        tag: entity tag; None for none.
        length: whether it says how much comes.
        seen: the Range header of each request.
    """

    content: bytes
    url: str = ""
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    tag: str | None = '"one"'
    length: bool = True
    seen: list[str | None] = field(default_factory=list)


@contextmanager
def serving(content: bytes) -> Iterator[Site]:
    """The site, at `url`; only `/file` is there."""
    site = Site(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            site.seen.append(asked)
            if self.path != "/file":
                self.send_error(404)
                return
            start = 0
            if asked and site.ranges and self.headers.get("If-Range") in (None, site.tag):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(site.content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
            if site.length:
                self.send_header("Content-Length", str(len(site.content) - start))
            if site.tag:
                self.send_header("ETag", site.tag)
            self.end_headers()
            self.wfile.write(site.content[start:][: site.cuts.pop(0)] if site.cuts else site.content[start:])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}/file"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
