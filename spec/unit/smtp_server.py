"""An SMTP server for specs: says its port, then prints each mail that it took as a line of JSON.

smtp_server.py [--tls CERT KEY] [--starttls CERT KEY] [--login USER PASSWORD] [--play NAME]

Recipients decide what happens: unknown@... gets 550, later@... 451; subjects: "slow" waits 3 seconds
with the last answer, "spam" gets 554. --play NAME is no server, but one that misbehaves that way.
--wire NAME takes mails, too, and tells instead what it sees on which connection, and when that ends.
"""
import argparse
import asyncio
import email
import email.policy
import itertools
import json
import queue
import socket
import ssl
import threading


told = queue.SimpleQueue()


def tell(value):
    text = json.dumps(value, ensure_ascii=False)
    told.put(text.encode("utf-8", "replace").decode())


def print_all():
    """In a thread of its own: a spec that is busy sending does not read."""
    while True:
        print(told.get(), flush=True)


def attachments_of(message):
    """Their bytes as hexadecimal text."""
    return [
        {"name": a.get_filename(), "type": a.get_content_type(), "charset": a.get_content_charset(),
         "disposition": a.get_content_disposition(), "hex": a.get_payload(decode=True).hex()}
        for a in message.iter_attachments()]


def shown_in(message):
    """What the html shows, by Content-ID; and the types around it, the innermost last."""
    found = []
    def walk(part, around):
        for member in part.iter_parts() if part.is_multipart() else []:
            walk(member, [*around, part.get_content_subtype()])
        if part["content-id"]:
            found.append({"cid": part["content-id"], "type": part.get_content_type(),
                          "disposition": part.get_content_disposition(), "around": around,
                          "hex": part.get_payload(decode=True).hex()})
    walk(message, [])
    return found


def part(message, kind):
    body = message.get_body((kind,))
    return body.get_content().replace("\r\n", "\n") if body else None


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("unknown@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@"):
            return "451-4.7.1 greylisted\r\n451 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        raw = envelope.content.decode("utf-8", "replace")
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        if message["subject"] == "spam":
            return "554 5.7.1 looks like spam"
        if message["subject"] == "slow":
            await asyncio.sleep(3)
        tell({
            "mail_from": envelope.mail_from, "rcpt_tos": envelope.rcpt_tos, "raw": raw,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "tls": session.ssl is not None,
            "headers": [[name, str(value)] for name, value in message.items()],
            "subject": message["subject"],
            "text": part(message, "plain"), "html": part(message, "html"),
            "attachments": attachments_of(message), "shown": shown_in(message),
            "defects": [str(d) for p in message.walk() for d in p.defects],
            "to": [[a.display_name, a.addr_spec] for a in message["to"].addresses],
        })
        return "250 2.0.0 queued as 4711"


def context_of(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context


def serve(options):
    from aiosmtpd.controller import Controller  # takes a second to load, and plays do without
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

    arguments = {"enable_SMTPUTF8": True}
    if options.starttls:
        arguments.update(tls_context=context_of(options.starttls), require_starttls=True)
    if options.login:
        user, password = (word.encode() for word in options.login)

        def authenticate(server, session, envelope, mechanism, data):
            good = isinstance(data, LoginPassword) and (data.login, data.password) == (user, password)
            return AuthResult(success=good, auth_data=data if good else None, handled=False)

        arguments.update(
            authenticator=authenticate, auth_required=True, auth_require_tls=bool(options.starttls))

    class OneController(Controller):
        def factory(self):
            return SMTP(self.handler, hostname="spec", **arguments)

    controller = OneController(
        Handler(), hostname="127.0.0.1", port=free_port(),
        ssl_context=context_of(options.tls) if options.tls else None)
    controller.start()
    tell({"port": controller.port})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


HELLO = b"220 spec\r\n", b"250 spec\r\n"
PLAYS = {
    "silent": [],
    "busy": [b"421 4.7.0 too many connections\r\n"],
    "blocked": [b"554 5.7.1 we do not know you\r\n"],
    "garbage": [*HELLO, b"\x00\xff\xfe what is this\r\n"],
    "endless": [*HELLO, b"250-x\r\n" * 100000],
    "no line": [*HELLO, b"250 " + b"x" * 100000],
    "half": [*HELLO, b"250 OK\r\n", b"250 O"],
    "closes": [*HELLO, b"250 OK\r\n", None],
    "utf8": [*HELLO, b"550 \xe9t\xe9 \xc3\xa9\r\n"],
}


def play(connection, lines):
    """Each line answers one command, the first the connection; None hangs up; then silence."""
    with connection:
        for line in lines:
            if line is None:
                return
            connection.sendall(line)
            if not connection.recv(65536):
                return
        while connection.recv(65536):
            pass


def play_one(connection, lines):
    try:
        play(connection, lines)
    except OSError:
        pass


def take_mail(lines):
    """The end of it, or None when the client left before."""
    for line in lines:
        if line == b".\r\n":
            return line
    return None


def answer(name, command, is_used):
    """What the server of that name says to a command; None hangs up, nothing is silence."""
    if is_used and command == b"RSET":
        return {"gone": None, "mute": b"", "busy": b"421 4.4.2 idle for too long\r\n",
                "odd": b"\x00 what\r\n"}.get(name, b"250 ok\r\n")
    if name == "picky" and command.startswith(b"RCPT TO:<unknown@"):
        return b"550 5.1.1 no such user\r\n"
    if name == "tired" and command.startswith(b"RCPT TO:<unknown@"):
        return b"421 4.7.0 go away\r\n"
    return b"354 go on\r\n" if command == b"DATA" else b"250 ok\r\n"


def wire(connection, name, number):
    lines = connection.makefile("rb")
    connection.sendall(b"220 spec\r\n")
    mails = 0
    for line in lines:
        command = line.rstrip()
        tell({"connection": number, "said": command.decode()})
        reply = answer(name, command, mails > 0)
        if command == b"QUIT" or reply is None:
            break
        connection.sendall(reply)
        if command == b"DATA" and take_mail(lines):
            mails += 1
            tell({"connection": number, "mail": mails})
            if name == "cuts":
                break  # nobody knows whether it took the mail
            connection.sendall(b"250 2.0.0 queued\r\n")
            if name == "leaves":
                break
    connection.shutdown(socket.SHUT_RDWR)
    tell({"connection": number, "over": True})


def wire_one(connection, name, number):
    with connection:
        try:
            wire(connection, name, number)
        except OSError:
            tell({"connection": number, "over": True})


def wire_all(name):
    listener = socket.create_server(("127.0.0.1", 0))
    tell({"port": listener.getsockname()[1]})
    for number in itertools.count(1):
        connection, _ = listener.accept()
        threading.Thread(target=wire_one, args=(connection, name, number), daemon=True).start()


def misbehave(name):
    listener = socket.create_server(("127.0.0.1", 0))
    tell({"port": listener.getsockname()[1]})
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=play_one, args=(connection, PLAYS[name]), daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--starttls", nargs=2)
    parser.add_argument("--login", nargs=2)
    parser.add_argument("--play", choices=PLAYS)
    parser.add_argument("--wire")
    options = parser.parse_args()
    threading.Thread(target=print_all, daemon=True).start()
    if options.play:
        misbehave(options.play)
    if options.wire:
        wire_all(options.wire)
    serve(options)
    threading.Event().wait()


main()
