// The browser client of this page.

import { createAuth } from "../../client.js";
import { page } from "./page.js";

export const auth = createAuth({ baseURL: page.prefix, mode: page.mode ?? undefined, boot: page.boot });
