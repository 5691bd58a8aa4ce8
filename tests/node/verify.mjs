// Verify a Watchword's access tokens in a Node service, with jose: npm install jose
import { createRemoteJWKSet, jwtVerify } from "jose";

// `issuer` is the Watchword's setting `url`, `algorithm` the one of that name. One a process is enough.
export function accessTokens(issuer, algorithm) {
  // Asked once in ten minutes, and for a key that it has not seen, so that a new one needs no restart.
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", issuer));
  const rules = {
    algorithms: [algorithm], // ours, whatever the token says
    typ: "at+jwt",
    issuer,
    audience: issuer,
    requiredClaims: ["exp", "iat", "sub", "sid"],
    clockTolerance: 5, // clocks differ
  };

  // The claims of a good token. Rejects any other with one of jose's errors.
  return async function verify(token) {
    const { payload } = await jwtVerify(token, keys, rules);
    return payload;
  };
}
