"""A web server on this machine that misbehaves as real ones do; the address says how.

Use: `with serve({"set.tar": data}) as server: server.address("breaks", "set.tar")`.
"""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STEP = 20_000  # bytes after which "breaks" breaks off


class Handler(BaseHTTPRequestHandler):
    """Plain, it answers whole files and ranges, as most servers do."""

    def do_GET(self):
        _, way, name = self.path.split("/")
        data = self.server.files[name]
        begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.asked.append((way, begin))
        if way == "missing":
            return self.send_error(404)
        if way == "wrong":
            data = data[::-1]
        if way in ("norange", "unsized", "once"):
            begin = 0
        if way == "elsewhere" and begin:
            return self.head(206, len(data), begin - 1, len(data))
        announced = len(data) - begin
        announced += {"longer": 1000, "shorter": -1000}.get(way, 0)
        self.head(206 if begin else 200, None if way == "unsized" else announced, begin, len(data))
        stops = {"breaks": begin + STEP, "stuck": begin, "shorter": len(data) - 1000}
        if way == "once":  # the first time only
            stops["once"] = STEP if len(self.server.asked) == 1 else len(data)
        self.wfile.write(data[begin : stops.get(way)])
        while way == "endless":
            self.wfile.write(data)

    def head(self, status, length, begin, total):
        self.send_response(status)
        if length is not None and self.path.split("/")[1] != "endless":
            self.send_header("Content-Length", str(length))
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.asked = []  # (way, first byte) of every request

    def address(self, way, name):
        return f"http://127.0.0.1:{self.server_port}/{way}/{name}"

    def handle_error(self, *_):  # a client that has had enough
        pass


@contextmanager
def serve(files):
    with Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
