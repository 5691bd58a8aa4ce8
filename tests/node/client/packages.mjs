// The modules of the client import what an app has installed. Here that is what tests/node has: import this first.
import { register } from "node:module";

const hook = `
  export const resolve = (name, context, next) =>
    context.parentURL?.includes("/src/watchword/browser/") && !name.startsWith(".")
      ? next(name, { ...context, parentURL: ${JSON.stringify(import.meta.url)} })
      : next(name, context);
`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
