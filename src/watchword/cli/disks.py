"""On what kind of file system a path lies, by what Linux says of its mounts. Pure: the text is handed in."""

from __future__ import annotations

import re

NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4"}
    | {"ocfs2", "smb2", "smb3", "smbfs", "virtiofs"}
    | {"fuse." + kind for kind in ("ceph", "cephfs", "gcsfuse", "glusterfs", "goofys", "grpcfuse", "juicefs")}
    | {"fuse." + kind for kind in ("osxfs", "rclone", "s3fs", "sshfs")}
)
"""File systems that other machines may write to. SQLite's WAL wants memory that all who open the file share
(sqlite.org/wal.html), and its locks are not kept on most of them."""


def file_system(mounts: str, path: str) -> str:
    """The type of what `path`, absolute and without links, is on; empty when `mounts` does not say.

    `mounts` is /proc/self/mountinfo (proc_pid_mountinfo(5)). The deepest mount point holds the path, and of several on
    one point the last, which covers the others.
    """
    depth, found = -1, ""
    for line in mounts.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]).rstrip("/")
        if f"{path}/".startswith(f"{point}/") and len(point) >= depth:
            depth, found = len(point), right.split(" ")[0]
    return found
