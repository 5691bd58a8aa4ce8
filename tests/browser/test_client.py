"""The browser client: its tests in Node, its types, its size, and what npm would publish."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.needs import node_modules
from tests.nodes import run_node_tests

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "src" / "watchword" / "browser"
SUITES = sorted(path.name for path in (ROOT / "tests" / "node" / "client").glob("*.test.mjs"))


@pytest.mark.parametrize("file", SUITES)
def test_what_node_says_of_the_client(file: str) -> None:
    """R24, R28, R29, R33, W1, W2, W16, ASVS 3.5.5: each test there says what it shows."""
    assert run_node_tests(f"client/{file}") > 0


def tsc(*words: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run(
        [node_modules() / ".bin" / "tsc", *words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_types_hold_and_declarations_say_them(tmp_path: Path) -> None:
    """DESIGN §8: JSDoc checked by tsc, strictly; an app in TypeScript uses what comes of it, and not wrongly."""
    package = tmp_path / "node_modules" / "watchword-client"
    tsc("-p", CLIENT, "--outDir", package)
    for path in (*CLIENT.glob("*.js"), CLIENT / "package.json"):
        shutil.copy(path, package)
    (tmp_path / "app.ts").write_text(APP)
    packages = node_modules()
    paths = json.dumps({"*": [f"{packages}/@types/*", f"{packages}/*"]})
    options = {"strict": True, "noEmit": True, "target": "es2022", "module": "esnext", "types": []}
    options |= {"moduleResolution": "bundler", "lib": ["es2022", "dom"], "paths": json.loads(paths)}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["app.ts"]}))
    tsc("-p", tmp_path)


APP = """
import axios from "axios";
import type { HttpInterceptorFn } from "@angular/common/http";
import { AuthError, createAuth } from "watchword-client";
import { attachAngular } from "watchword-client/angular";
import { attachAxios } from "watchword-client/axios";
import { SessionProvider, useSession } from "watchword-client/react";
import type { Auth, State } from "watchword-client/types";

const auth: Auth = createAuth({ baseURL: "/auth", mode: "hybrid" });
const end: () => void = auth.onChange((state: State) => console.log(state.status, state.user?.id));
export async function signIn(email: string, password: string): Promise<string | undefined> {
  try {
    const { next } = await auth.signIn({ email, password });
    return next?.step;
  } catch (error) {
    if (error instanceof AuthError) return `${error.code} ${error.status} ${error.retryAfter ?? 0}`;
    throw error;
  }
}
attachAxios(axios.create(), auth);
export const interceptor: HttpInterceptorFn = attachAngular(auth);
export function name(): string {
  const { data, isPending, error, refetch } = useSession();
  void refetch();
  return isPending ? "…" : (data?.user.id ?? error?.message ?? "nobody");
}
SessionProvider({ auth });
// @ts-expect-error  no such mode
createAuth({ mode: "cookie" });
// @ts-expect-error  a password is needed
void auth.signIn({ email: "" });
end();
"""
