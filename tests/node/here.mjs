// The names of the tests' servers, found on this machine; every other name as usual.
import dns from "node:dns";

const OURS = new Set(["api.example.com", "app.example.com"]);
const elsewhere = dns.lookup;

dns.lookup = (host, options, callback) => elsewhere(OURS.has(host) ? "127.0.0.1" : host, options, callback);
