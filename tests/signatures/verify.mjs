// Verifies captured pushes with the JavaScript reference library of Standard Webhooks.
import { readFileSync } from "node:fs";
import assert from "node:assert";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

function holds(secret, body, headers) {
  try {
    new Webhook(secret).verify(body, headers);
  } catch (error) {
    // The library reads the body as JSON once the signature holds; a push need not be JSON.
    if (error instanceof SyntaxError) return true;
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
  return true;
}

const pushes = JSON.parse(readFileSync(process.argv[2], "utf8"));
let changes = 0;
for (const push of pushes) {
  const headers = Object.fromEntries(push.headers);
  for (const secret of push.secrets) {
    assert(holds(secret, push.body, headers), "the signature does not hold");
    for (let i = 0; i < push.body.length; i++) {
      const changed = push.body.slice(0, i) + String.fromCharCode(push.body.charCodeAt(i) ^ 1) + push.body.slice(i + 1);
      assert(!holds(secret, changed, headers));
      changes++;
    }
    assert(!holds(secret, push.body, { ...headers, "webhook-id": headers["webhook-id"] + "0" }));
    changes++;
  }
}
console.log(`javascript: ${pushes.length} pushes hold, ${changes} changed ones do not`);
