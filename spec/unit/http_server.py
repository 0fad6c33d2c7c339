"""An HTTP server for specs: says its port, then what it saw, a line of JSON each.

http_server.py [--tls CERT KEY] [--client-ca CA] [--bind ADDRESS] [--play NAME]

Each request is told as {"method", "path", "headers" (pairs), "body", "connection" (its number)}; each
connection that ends as {"closed"}. Paths say what is answered: see class Handler. --play NAME is no
server, but one that misbehaves that way.
"""
import argparse
import gzip
import http.server
import json
import queue
import socket
import ssl
import threading
import time
import urllib.parse
import zlib

told = queue.SimpleQueue()


def tell(value):
    told.put(json.dumps(value))


def print_all():
    """In a thread of its own: a spec that is busy sending does not read."""
    while True:
        print(told.get(), flush=True)


def bomb(size):
    """The gzip of so many zeros, a piece at a time."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    for _ in range(size >> 20):
        yield packer.compress(block)
    yield packer.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self):
        super().setup()
        Handler.connections += 1
        self.number = Handler.connections

    def finish(self):
        try:
            super().finish()
        finally:
            tell({"closed": self.number})

    def log_message(self, *_):
        pass

    def answer(self, status=200, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def chunked(self, pieces, headers=()):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def serve(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else b""
        tell({
            "method": self.command, "path": self.path, "headers": list(self.headers.items()),
            "body": body.decode("latin-1") if size < 100000 else None, "size": size,
            "sum": zlib.crc32(body), "connection": self.number,
        })
        url = urllib.parse.urlsplit(self.path)
        words = [urllib.parse.unquote(word) for word in url.path.split("/")[1:]]
        try:
            getattr(self, "at_" + words[0], self.at_)(*words[1:])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def at_(self, *_):
        self.answer(body=b"hello")

    def at_status(self, status):
        if status == "204":  # has no body, and says nothing of its length
            self.send_response(204)
            self.end_headers()
        else:
            self.answer(int(status), b"status " + status.encode())

    def at_json(self):
        self.answer(body=b'{"id": 9007199254740993, "list": [], "none": null}',
                    headers=[("Content-Type", "application/json")])

    def at_headers(self):
        self.answer(headers=[("X-One", "1"), ("Set-Cookie", "a=1; Expires=Sat, 01 Jan"),
                             ("set-cookie", "b=2"), ("X-Empty", ""), ("All", "x")])

    def at_bytes(self, size):
        self.chunked(b"x" * 65536 for _ in range(int(size) // 65536))

    def at_gzip(self, text):
        self.answer(body=gzip.compress(text.encode()), headers=[("Content-Encoding", "gzip")])

    def at_bomb(self, size):
        self.chunked(bomb(int(size)), [("Content-Encoding", "gzip")])

    def at_broken(self):
        self.answer(body=b"this is no gzip", headers=[("Content-Encoding", "gzip")])

    def at_to(self, status, *target):
        self.answer(int(status), b"moved", [("Location", "/".join(target))])

    def at_loop(self):
        self.answer(302, headers=[("Location", self.path)])

    def at_short(self):
        self.answer(body=b"ten bytes?", headers=[("Content-Length", "1000")])
        self.close_connection = True

    def at_slow(self, seconds):
        time.sleep(float(seconds))
        self.answer(body=b"late")

    def at_drip(self):
        def pieces():
            for _ in range(1000):
                yield b"x" * 1024
                time.sleep(0.05)
        self.chunked(pieces())

    def at_head(self, lines):
        self.answer(headers=[("X-%d" % i, "x" * 4000) for i in range(int(lines))])

    def at_interim(self):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n")
        self.answer(body=b"final")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Server6(Server):
    address_family = socket.AF_INET6


def play(name, listener):
    """Answers each connection wrongly."""
    words = {"garbage": b"220 mail.example.org ESMTP\r\n", "closes": b"", "half": b"HTTP/1.1 200 OK\r\nX"}
    while True:
        peer, _ = listener.accept()
        peer.recv(65536)
        if name in words:
            peer.sendall(words[name])
        if name == "closes" or name == "garbage":
            peer.close()
        else:
            threading.Thread(target=lambda p=peer: (p.recv(1), tell({"closed": 0}))).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--client-ca")
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--play")
    args = parser.parse_args()
    threading.Thread(target=print_all, daemon=True).start()
    if args.play:
        listener = socket.create_server((args.bind, 0))
        tell({"port": listener.getsockname()[1]})
        play(args.play, listener)
    server = (Server6 if ":" in args.bind else Server)((args.bind, 0), Handler)
    if args.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*args.tls)
        if args.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(args.client_ca)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    tell({"port": server.server_address[1]})
    server.serve_forever()


main()
