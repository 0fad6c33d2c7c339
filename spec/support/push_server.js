// push_server.js CERT KEY - push services and a receiver of webhooks, over TLS, HTTP/2 or 1.1.
//
// Prints one JSON a line: first what the services expect (port, keys), then each request that it has
// checked: {channel, name, status, ...}. It decrypts and verifies with libraries that are not ours. What
// a name begins with says what comes of it: busy, gone, refused, away; hold waits for SIGUSR2.
"use strict";

const crypto = require("crypto");
const ece = require("http_ece");
const fs = require("fs");
const http2 = require("http2");
const jws = require("jws");

const [cert, key] = process.argv.slice(2).map((path) => fs.readFileSync(path));
const tell = (fields) => process.stdout.write(JSON.stringify(fields) + "\n");
const pem = { type: "pkcs8", format: "pem" };
const pair = (type, options) => crypto.generateKeyPairSync(type, options);
const account = pair("rsa", { modulusLength: 2048 });
const apple = pair("ec", { namedCurve: "prime256v1" });
const browser = crypto.createECDH("prime256v1");
browser.generateKeys();
const auth = crypto.randomBytes(16);
const hook = crypto.randomBytes(32);
const held = [];
let tokens = 0;
let stale = false;

// RFC 8030's and everybody's answers, by what the name begins with.
const ANSWERS = {
  busy: [429, "slow down", { "retry-after": "3600" }],
  dated: [503, "back soon", { "retry-after": () => new Date(Date.now() + 7200e3).toUTCString() }],
  away: [502, "bad gateway"],
  refused: [403, "not for you\u00e9\n"],
};

function answer(name, gone, ok) {
  const word = Object.keys(ANSWERS).find((begin) => name.startsWith(begin));
  if (name.startsWith("gone")) return gone;
  return word ? ANSWERS[word] : ok;
}

function check(ok, why) {
  if (!ok) throw new Error(why);
}

// The claims of a token whose signature is right.
function claims(token, algorithm, publicKey) {
  check(jws.verify(token, algorithm, publicKey), "the signature of the token is wrong");
  return jws.decode(token, { json: true }).payload;
}

function p256(raw) {
  const half = (from, to) => raw.subarray(from, to).toString("base64url");
  return crypto.createPublicKey({
    format: "jwk", key: { kty: "EC", crv: "P-256", x: half(1, 33), y: half(33, 65) },
  }).export({ type: "spki", format: "pem" });
}

function webpush(request, body, origin) {
  const name = request.url.split("/")[2];
  const given = /^vapid t=([^,]+), k=(\S+)$/.exec(request.headers.authorization);
  const who = claims(given[1], "ES256", p256(Buffer.from(given[2], "base64url")));
  const left = who.exp - Date.now() / 1000;
  check(who.aud === origin, `the audience is ${who.aud}`);
  check(left > 0 && left <= 86400, `the token is good for ${left} s`);
  check(request.headers["content-encoding"] === "aes128gcm", "it is not aes128gcm");
  const text = ece.decrypt(body, {
    version: "aes128gcm", privateKey: browser, authSecret: auth.toString("base64url"),
  });
  const { ttl, topic, urgency } = request.headers;
  return {
    name, sub: who.sub, k: given[2], ttl, topic, urgency, size: body.length, payload: JSON.parse(text),
    reply: answer(name, [410, "gone"], [201, ""]),
  };
}

function token(request, body, origin) {
  const form = new URLSearchParams(body.toString());
  const who = claims(form.get("assertion"), "RS256", account.publicKey);
  check(who.aud === origin + "/token" && who.iss === "app@example.iam", "the claims are wrong");
  check(form.get("grant_type") === "urn:ietf:params:oauth:grant-type:jwt-bearer", "the grant type");
  tokens += 1;
  const given = { access_token: `access-${tokens}`, expires_in: 3600, token_type: "Bearer" };
  return { name: "token", scope: who.scope, reply: [200, JSON.stringify(given)] };
}

function fcm(request, body) {
  const { message } = JSON.parse(body);
  const name = message.token;
  if (name.startsWith("stale") && !stale) {
    stale = request.headers.authorization;
    return { name, reply: [401, "UNAUTHENTICATED"] };
  }
  check(request.headers.authorization === `Bearer access-${tokens}`, "that is not the last token");
  const gone = { error: { code: 404, details: [{ errorCode: "UNREGISTERED" }] } };
  return {
    name, message, reply: answer(name, [404, JSON.stringify(gone)], [200, '{"name": "projects/x/messages/1"}']),
  };
}

function apns(request, body) {
  check(request.httpVersion === "2.0", `APNs speaks HTTP/2, not ${request.httpVersion}`);
  const device = request.url.split("/")[3];
  const name = Buffer.from(device, "hex").toString();
  const jwt = request.headers.authorization.replace("Bearer ", "");
  const who = claims(jwt, "ES256", apple.publicKey.export({ type: "spki", format: "pem" }));
  check(jws.decode(jwt).header.kid === "KEY123" && who.iss === "TEAM45", "the token is another's");
  return {
    name, jwt, payload: JSON.parse(body), bundle: request.headers["apns-topic"],
    kind: request.headers["apns-push-type"], priority: request.headers["apns-priority"],
    collapse: request.headers["apns-collapse-id"],
    reply: answer(name, [410, '{"reason": "Unregistered"}'], [200, ""]),
  };
}

function ntfy(request, body) {
  const message = JSON.parse(body);
  check(request.headers.authorization === "Bearer tk_spec", "the access token is wrong");
  return { name: message.topic, message, reply: answer(message.topic, [404, ""], [200, "{}"]) };
}

function webhook(request, body) {
  const name = request.url.split("/")[2];
  const id = request.headers["webhook-id"];
  const time = request.headers["webhook-timestamp"];
  const mac = crypto.createHmac("sha256", hook).update(`${id}.${time}.${body}`).digest("base64");
  check(request.headers["webhook-signature"] === `v1,${mac}`, "the signature is wrong");
  check(Math.abs(Date.now() / 1000 - time) < 300, "the time is another");
  return { name, id, payload: JSON.parse(body), reply: answer(name, [410, ""], [204, ""]) };
}

const SERVICES = [
  [/^\/wp\//, "webpush", webpush], [/^\/token$/, "token", token],
  [/^\/v1\/projects\/demo\/messages:send$/, "fcm", fcm], [/^\/3\/device\//, "apns", apns],
  [/^\/hook\//, "webhook", webhook], [/^\/$/, "ntfy", ntfy],
];

function respond(response, [status, text, headers]) {
  for (const [name, value] of Object.entries(headers || {})) {
    response.setHeader(name, typeof value === "function" ? value() : value);
  }
  response.writeHead(status);
  response.end(text);
}

function serve(request, response, body) {
  const origin = `https://127.0.0.1:${server.address().port}`;
  const [, channel, service] = SERVICES.find(([path]) => path.test(request.url)) || [];
  try {
    check(service && request.method === "POST", `nobody is at ${request.method} ${request.url}`);
    const { reply, ...fields } = service(request, body, origin);
    tell({ channel, status: reply[0], ...fields });
    if (fields.name.startsWith("hold")) held.push(() => respond(response, reply));
    else respond(response, reply);
  } catch (error) {
    tell({ channel, problem: error.message });
    respond(response, [400, error.message]);
  }
}

const server = http2.createSecureServer({ allowHTTP1: true, cert, key }, (request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => serve(request, response, Buffer.concat(parts)));
});
process.on("SIGUSR2", () => held.splice(0).forEach((release) => release()));
server.listen(0, "127.0.0.1", () => tell({
  port: server.address().port,
  apple: apple.privateKey.export(pem), account: account.privateKey.export(pem),
  keys: { p256dh: browser.getPublicKey("base64url"), auth: auth.toString("base64url") },
  secret: "whsec_" + hook.toString("base64"),
}));
