"""A server for spec/unit/socket_spec.lua: what it does depends on the first line that it is sent.

    socket_server.py [PATH]    prints its port, or "ready" when it listens on PATH; then a line for each
                               connection that has ended: the bytes that came
"""
import socketserver
import sys
import time


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.count = 0
        try:
            self.answer(self.rfile.readline().decode().split())
        except OSError:
            pass
        print(self.count, flush=True)

    def answer(self, words):
        verb = words[0] if words else "close"
        if verb == "echo":
            while line := self.rfile.readline():
                self.wfile.write(line)
        elif verb == "count":  # slowly, so that the sender has to wait
            while block := self.rfile.read1(1 << 20):
                self.count += len(block)
                time.sleep(0.001)
            self.wfile.write(b"%d" % self.count)
        elif verb == "send":  # N bytes
            self.wfile.write(b"x" * int(words[1]))
        elif verb == "flood":
            while True:
                self.wfile.write(b"x" * 65536)
        elif verb == "deaf":  # reads nothing until the other side has gone
            self.wfile.write(b"ready\n")
            time.sleep(float(words[1]))
        elif verb == "part":
            self.wfile.write(b"half a li")
        elif verb == "silent":
            self.rfile.read()


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True


class Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


if len(sys.argv) > 1:
    server = Unix(sys.argv[1], Handler)
    print("ready", flush=True)
else:
    server = Tcp(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
server.serve_forever()
