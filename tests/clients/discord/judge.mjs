// Judges what the bot sends by validators that are generated from Discord's own OpenAPI description: one JSON line each on
// standard input, [method and path, body]; what they refuse on standard output, and an exit code of 1.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// The strict one that `tests/run` makes of it: what the description does not know of a body, it refuses.
const build = `${process.env.CLIENTS}/node_modules/discord-api-spec/build`;
const spec = await import(pathToFileURL(`${build}/strict.js`).href);

const CALLBACKS = {
  4: "CreateMessageInteractionCallbackRequestSchema",
  5: "CreateMessageInteractionCallbackRequestSchema",
  6: "UpdateMessageInteractionCallbackRequestSchema",
  8: "ApplicationCommandAutocompleteCallbackRequestSchema",
  9: "ModalInteractionCallbackRequestSchema",
};

// Of the description, by what is called.
const BODIES = [
  [/^POST channels\/\d+\/messages$/, () => "MessageCreateRequestSchema"],
  [/^PATCH channels\/\d+\/messages\/\d+$/, () => "MessageEditRequestPartialSchema"],
  [/^POST channels\/\d+\/messages\/\d+\/threads$/, () => "CreateTextThreadWithMessageRequestSchema"],
  [/^POST channels\/\d+\/threads$/, () => "CreateForumThreadRequestSchema"],
  [/^PATCH channels\/\d+$/, () => "UpdateThreadRequestPartialSchema"],
  [/^PUT applications\/.*commands$/, () => "ApplicationCommandUpdateRequestSchema"],
  [/^POST interactions\/.*callback$/, (body) => CALLBACKS[body.type]],
  [/^PATCH webhooks\/.*@original$/, () => "IncomingWebhookUpdateForInteractionCallbackRequestPartialSchema"],
  [/^POST webhooks\/\d+\/[^/]+$/, () => "IncomingWebhookInteractionRequestSchema"],
];

let judged = 0;
let refused = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const [call, body] = JSON.parse(line);
  const found = BODIES.find(([pattern]) => pattern.test(call));
  const schema = found && spec[found[1](body)];
  if (!schema) {
    console.log(`${call}: no validator for it`);
    refused += 1;
    continue;
  }
  for (const one of Array.isArray(body) ? body : [body]) {
    judged += 1;
    const result = schema.safeParse(one);
    if (!result.success) {
      refused += 1;
      console.log(`${call}: ${JSON.stringify(result.error.issues).slice(0, 2000)}\n${JSON.stringify(one).slice(0, 2000)}`);
    }
  }
}
console.log(`${judged} judged`);
process.exit(refused === 0 ? 0 : 1);
