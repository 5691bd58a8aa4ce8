"""The command: a line for each gap, or the page."""

import sys

from tests.asvs.page import PAGE, rendered
from tests.asvs.requirements import gaps, load, proofs

if __name__ == "__main__":
    known = load()
    proved = proofs(known)
    lines = gaps(known, proved)
    page = rendered(known, proved)
    if sys.argv[1:] == ["write"]:
        PAGE.write_text(page, encoding="utf-8")
    elif page != PAGE.read_text(encoding="utf-8"):
        lines.append("docs/asvs.md is out of date: python -m tests.asvs write")
    sys.exit("\n".join(lines) or None)
