// A receiver of TenDays webhooks, with nothing but Node (18 or newer). It passes the certification.
//
//     TENDAYS_KEYS="whsec_..." node receiver.mjs 9000
//
// Several keys may stand in TENDAYS_KEYS, separated by spaces: `whsec_...` verifies v1 (HMAC-SHA256), the endpoint's
// `public_key` (`whpk_...`) verifies v1a (ed25519). Each genuine event is stored (here: printed as a line of JSON) once.
// For production put it behind HTTPS, and keep `seen`, `latest` and the events in your database, in one
// transaction.

import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import { createServer } from "node:http";

const TOLERANCE = 300; // seconds, either way
const LARGEST = 1_000_000; // bytes
const KEPT = 7 * 24 * 3600; // seconds for which an id is remembered: longer than we try
const seen = new Map(); // webhook-id: when it came, in unix seconds
const latest = new Map(); // order_key and audience: the highest `sequence` stored

// Gives (signed, [version, raw]) => whether it fits.
function judgeFor(text) {
  const raw = Buffer.from(text.slice(text.indexOf("_") + 1), "base64");
  if (text.startsWith("whsec_")) {
    return (signed, [version, given]) => {
      const good = createHmac("sha256", raw).update(signed).digest();
      return version === "v1" && given.length === good.length && timingSafeEqual(given, good);
    };
  }
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
  return (signed, [version, given]) => version === "v1a" && verify(null, signed, key, given);
}

const judges = process.env.TENDAYS_KEYS.split(" ").filter(Boolean).map(judgeFor);

// Why these bytes are not to be believed; null if they are ours and timely.
function problemWith(headers, body, now) {
  const [id, stamp, given] = ["id", "timestamp", "signature"].map((one) => headers[`webhook-${one}`] ?? "");
  if (!id || !given || !/^[0-9]{1,12}$/.test(stamp)) return "a header is missing or malformed";
  if (Math.abs(now - Number(stamp)) > TOLERANCE) return "the timestamp is stale";
  const signed = Buffer.concat([Buffer.from(`${id}.${stamp}.`, "latin1"), body]);
  const offered = given.split(" ").map((one) => {
    const comma = one.indexOf(",");
    return [one.slice(0, comma), Buffer.from(one.slice(comma + 1), "base64")];
  });
  return judges.some((fits) => offered.some((one) => fits(signed, one))) ? null : "no signature fits";
}

// Whether this id has not been seen yet; from now on it has.
function isNew(id, now) {
  for (const [old, came] of seen) {
    if (now - came <= KEPT) break; // a Map keeps the order in which they came
    seen.delete(old);
  }
  if (seen.has(id)) return false;
  seen.set(id, now);
  return true;
}

// Whether a later event of its key and audience has come before: each audience counts its own `sequence`.
function isOld(event) {
  const key = `${event.order_key} ${event.audience?.id}`;
  const before = latest.get(key) ?? 0;
  latest.set(key, Math.max(before, event.sequence));
  return event.sequence < before;
}

// 204 if it is genuine (new or not, of a known type or not); 4xx if not. Answers first, works later: what takes longer
// than storing an event belongs behind a queue of your own.
function answerTo(request, body) {
  const now = Date.now() / 1000;
  const problem = problemWith(request.headers, body, now);
  if (problem) {
    console.error(problem);
    return 401;
  }
  if (isNew(request.headers["webhook-id"], now)) {
    const event = JSON.parse(body.toString("utf8"));
    // A type you do not know is not an error: there will be new ones. Nor is an event that comes after a later one:
    // it is stored, and says that it is old, so that it overwrites nothing newer.
    console.log(JSON.stringify(isOld(event) ? { ...event, old: true } : event));
  }
  return 204;
}

const server = createServer((request, response) => {
  if (request.method !== "POST") return response.writeHead(405).end();
  const parts = [];
  let size = 0;
  request.on("data", (part) => {
    size += part.length;
    if (size <= LARGEST) parts.push(part);
  });
  request.on("end", () => {
    response.writeHead(size > LARGEST ? 413 : answerTo(request, Buffer.concat(parts))).end();
  });
});
server.requestTimeout = 30_000; // milliseconds for a whole request
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.error(`listening on ${server.address().port}`));
