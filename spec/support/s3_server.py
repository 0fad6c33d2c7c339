"""A bucket server for specs: checks each signature (Version 4 of AWS) by computing it again.

s3_server.py FOLDER KEY SECRET REGION: says its port. Objects are files of FOLDER, their names escaped. A name
that begins with "busy" gets 503 at first, one with "cut" half of its body.
"""
import hashlib
import hmac
import http.server
import os
import sys
import time
import urllib.parse

FOLDER, KEY, SECRET, REGION = sys.argv[1:5]
BLOCK = 1 << 20
busy = set()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(method, raw_path, query, headers, names, date, day):
    path = urllib.parse.quote(urllib.parse.unquote(raw_path), safe="/-_.~")
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join([
        method, path, urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote),
        "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names), ";".join(names),
        headers["x-amz-content-sha256"]])
    scope = f"{day}/{REGION}/s3/aws4_request"
    text = "\n".join(
        ["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = mac(key, part)
    return mac(key, text).hex()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message):
        self.answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())

    def check(self):
        """The name of the object, or None when it was refused."""
        raw_path, _, query = self.path.partition("?")
        fields = dict(part.strip().split("=", 1) for part in
                      self.headers.get("authorization", "").removeprefix("AWS4-HMAC-SHA256 ").split(",")
                      if "=" in part)
        date, names = self.headers.get("x-amz-date", ""), fields.get("SignedHeaders", "").split(";")
        amz = [name.lower() for name in self.headers if name.lower().startswith("x-amz-")]
        if fields.get("Credential") != f"{KEY}/{date[:8]}/{REGION}/s3/aws4_request":
            return self.refuse(403, "InvalidAccessKeyId", "no such key")
        if not set(amz + ["host"]) <= set(names) or "x-amz-content-sha256" not in names:
            return self.refuse(403, "AccessDenied", "there are headers which were not signed")
        made = time.mktime(time.strptime(date + " UTC", "%Y%m%dT%H%M%SZ %Z")) - time.timezone
        if abs(time.time() - made) > 900:
            return self.refuse(403, "RequestTimeTooSkewed", "the difference is too large")
        expected = signature(self.command, raw_path, query, self.headers, names, date, date[:8])
        if not hmac.compare_digest(expected, fields.get("Signature", "")):
            return self.refuse(403, "SignatureDoesNotMatch", "check your key and signing method")
        name = urllib.parse.unquote(raw_path).removeprefix("/bucket/")
        if name.startswith("busy") and name not in busy:
            busy.add(name)
            return self.refuse(503, "SlowDown", "please reduce your request rate")
        return name

    def place(self, name):
        return os.path.join(FOLDER, urllib.parse.quote(name, safe=""))

    def receive(self, name):
        digest, left = hashlib.sha256(), int(self.headers.get("content-length", 0))
        with open(self.place(name) + ".part", "wb") as file:
            while left > 0:
                block = self.rfile.read(min(BLOCK, left))
                if not block:
                    return False
                file.write(block)
                digest.update(block)
                left -= len(block)
        return digest.hexdigest() == self.headers["x-amz-content-sha256"]

    def do_PUT(self):
        name = self.check()
        if name is None:
            return
        source = self.headers.get("x-amz-copy-source")
        if source:
            path = self.place(urllib.parse.unquote(source).removeprefix("/bucket/"))
            if not os.path.exists(path):
                return self.refuse(404, "NoSuchKey", "it is not there")
            with open(path, "rb") as old, open(self.place(name), "wb") as new:
                new.write(old.read())
            return self.answer(200, b"<CopyObjectResult></CopyObjectResult>")
        if not self.receive(name):
            return self.refuse(400, "XAmzContentSHA256Mismatch", "the body is another one")
        os.rename(self.place(name) + ".part", self.place(name))
        self.answer(200)

    def do_GET(self):
        name = self.check()
        if name is None:
            return
        path = self.place(name)
        if not os.path.exists(path):
            return self.refuse(404, "NoSuchKey", "it is not there")
        size = os.path.getsize(path)
        self.send_response(200)
        self.send_header("content-length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        left = size // 2 if name.startswith("cut") else size
        with open(path, "rb") as file:
            while left > 0:
                block = file.read(min(BLOCK, left))
                self.wfile.write(block)
                left -= len(block)
        self.close_connection = name.startswith("cut")

    do_HEAD = do_GET

    def do_DELETE(self):
        name = self.check()
        if name is not None:
            if os.path.exists(self.place(name)):
                os.remove(self.place(name))
            self.answer(204)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
