"""The history of the tables, one file a step in `versions/`, written by hand and never changed after a release.

A step only adds (a table, a column with a default, an index), so that the version before it runs on beside it while
workers are replaced one by one; what nothing uses any more is removed a release later. Revisions are numbered 0001,
0002, …; a new one moves `HEAD`, and a test compares the result with `tables`.
"""

from __future__ import annotations

HEAD = "0005"
"""The revision that this version of the code works with. Here because a running server loads no Alembic."""
