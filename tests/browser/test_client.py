"""The browser client: its tests in Node, its types, its size, and what npm would publish."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.needs import node_modules
from tests.nodes import run_node_tests

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "src" / "watchword" / "browser"
GUIDE = (ROOT / "docs" / "guides" / "client.md").read_text(encoding="utf-8")
SUITES = sorted(path.name for path in (ROOT / "tests" / "node" / "client").glob("*.test.mjs"))


@pytest.mark.parametrize("file", SUITES)
def test_what_node_says_of_the_client(file: str) -> None:
    """R24, R28, R29, R33, W1, W2, W16, attack 48, ASVS 3.5.5: each test there says what it shows."""
    assert run_node_tests(f"client/{file}") > 0


def test_each_row_of_the_guide_names_the_test_that_proves_it() -> None:
    table = GUIDE.partition("| proved by |\n")[2].partition("\n\n")[0].splitlines()[1:]
    named = [re.search(r"\[([^]]+)]\(../../(tests/node/client/\S+)\) \|$", row) for row in table]
    assert len(table) >= 20, "the table is elsewhere"
    for row, found in zip(table, named, strict=True):
        assert found, row
        assert f'test("{found[1]}"' in (ROOT / found[2]).read_text(encoding="utf-8"), row


def test_a_page_loads_six_kilobytes_at_most_and_the_guide_says_how_many() -> None:
    """DESIGN §8: client.js and what it imports, each as `gzip -9` makes it."""
    loaded = ["client.js"]
    for name in loaded:
        loaded += re.findall(r'^import .* from "\./([^"]+)"', (CLIENT / name).read_text(), re.MULTILINE)
    size = sum(len(gzip.compress((CLIENT / name).read_bytes(), 9, mtime=0)) for name in loaded)
    assert loaded == ["client.js", "wire.js"]
    assert size <= 6000
    assert f"{size / 1000:.2f} kB" in GUIDE


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
