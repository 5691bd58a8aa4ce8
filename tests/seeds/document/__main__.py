"""Writes docs/seeds.md, unless its texts and the run contradict each other."""

from __future__ import annotations

import sys

from tests.seeds.document.page import PAGE, rendered, slips
from tests.seeds.document.record import stories

told = stories()
wrong = slips(told)
if wrong:
    sys.exit("\n".join(wrong))
PAGE.write_text(rendered(told), encoding="utf-8")
