"""mails.py - compares the mails in a Maildir with what should have been sent.

  mails.py MAILDIR EXPECTED

EXPECTED holds a JSON object a line with to, subject and text, in the order of the jobs. Prints how many
arrived as they should, then subject and recipient of the first. Exit 1, with one line for each that is
missing or came twice; mails of other jobs do not count. The standard library decodes: a second opinion
on our encoding.
"""
import collections
import email
import email.policy
import json
import pathlib
import sys


def received(folder):
    for path in sorted(pathlib.Path(folder).glob("new/*")):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
        yield str(message["To"]), str(message["Subject"]), body.rstrip("\n")


def expected(path):
    for line in pathlib.Path(path).read_text("utf-8").splitlines():
        job = json.loads(line)
        yield job["to"], job["subject"], job["text"].rstrip("\n")


def main(folder, path):
    wanted = list(expected(path))
    got = collections.Counter(received(folder))
    wrong = [mail for mail, copies in collections.Counter(wanted).items() if got[mail] != copies]
    for mail in wrong:
        print(f"mail to {mail[0]}, {mail[1]!r}: came {got[mail]} times", file=sys.stderr)
    print(sum((collections.Counter(wanted) & got).values()))
    print(f'"{wanted[0][1]}" to {wanted[0][0]}' if wanted else "none")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
