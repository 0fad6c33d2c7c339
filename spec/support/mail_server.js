// A server for specs of mail: STARTTLS and a login before anything else. Says its port, then each mail
// as a line of JSON, read by mailparser.
//
//   mail_server.js CERT KEY USER PASSWORD
//
// Recipients decide: unknown@... gets 550, later@... 451 for its first mail, after that mail came;
// hold@... waits for its first mail's last word until SIGUSR2, and that is told.
const fs = require("fs");
const { SMTPServer } = require("smtp-server");
const { simpleParser } = require("mailparser");

const [cert, key, user, password] = process.argv.slice(2);
const seen = new Set();
let release = () => {};

const tell = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const addresses = (field) => (field ? field.value.map((a) => [a.name, a.address]) : null);

function refuse(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}

function isFirst(name, session) {
  const to = session.envelope.rcptTo.map((r) => r.address).find((a) => a.startsWith(name + "@"));
  const first = to !== undefined && !seen.has(to);
  if (first) seen.add(to);
  return first;
}

function describe(mail, session) {
  return {
    rcpt: session.envelope.rcptTo.map((r) => r.address), tls: session.secure, user: session.user,
    id: mail.messageId, subject: mail.subject, text: mail.text, html: mail.html || null,
    from: addresses(mail.from), to: addresses(mail.to), reply_to: addresses(mail.replyTo),
    headers: mail.headerLines.map((h) => h.key),
    list: mail.headers.get("list") || null,
    attachments: mail.attachments.map((a) => ({
      name: a.filename, type: a.contentType, cid: a.cid, related: a.related || false,
      hex: a.content.toString("hex"),
    })),
  };
}

const server = new SMTPServer({
  cert: fs.readFileSync(cert), key: fs.readFileSync(key), logger: false,
  closeTimeout: 100, disableReverseLookup: true,
  onAuth: ({ username, password: given }, _, done) =>
    username === user && given === password ? done(null, { user }) : done(refuse(535, "5.7.8 no")),
  onRcptTo: ({ address }, _, done) =>
    address.startsWith("unknown@") ? done(refuse(550, "5.1.1 no such user")) : done(),
  onData: (stream, session, done) => {
    simpleParser(stream, { skipTextToHtml: true, skipImageLinks: true }).then((mail) => {
      tell(describe(mail, session));
      if (isFirst("later", session)) {
        done(refuse(451, "4.7.1 come back later"));
      } else if (isFirst("hold", session)) {
        release = () => done(null, "queued");
        tell({ held: true });
      } else {
        done(null, "queued");
      }
    }, done);
  },
});

process.on("SIGUSR2", () => release());
server.on("error", () => {}); // of clients that were killed
server.listen(0, "127.0.0.1", () => tell({ port: server.server.address().port }));
