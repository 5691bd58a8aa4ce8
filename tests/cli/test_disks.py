"""Which file system a path is on, by the lines that Linux writes."""

import sys
from pathlib import Path

import pytest

from watchword.cli.disks import NETWORK, file_system

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 0:40 / /srv rw,relatime shared:5 - nfs4 10.0.0.9:/export rw,vers=4.2
31 30 254:1 / /srv/local rw,relatime - xfs /dev/vdb rw
32 27 0:41 / /mnt/two\040words rw,relatime - cifs //files/share rw
33 27 0:42 / /over rw,relatime - ext4 /dev/vdc rw
34 27 0:43 / /over rw,relatime master:2 propagate_from:1 - fuse.sshfs ada@files:/ rw
35 27 0:44 / /back\134slash rw,relatime - 9p share rw
a line that is none
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/app/watchword.db", "ext4"),
        ("/srv/watchword.db", "nfs4"),
        ("/srv/local/watchword.db", "xfs"),
        ("/srv/localhost/watchword.db", "nfs4"),
        ("/srvother/watchword.db", "ext4"),
        ("/srv", "nfs4"),
        ("/mnt/two words/watchword.db", "cifs"),
        ("/over/watchword.db", "fuse.sshfs"),
        ("/back\\slash/watchword.db", "9p"),
    ],
)
def test_the_deepest_and_last_mount_holds_a_path(path: str, kind: str) -> None:
    """proc_pid_mountinfo(5)."""
    assert file_system(MOUNTS, path) == kind


def test_without_mounts_nothing_is_claimed() -> None:
    assert file_system("", "/srv/watchword.db") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no mountinfo")
def test_the_mounts_of_this_machine_are_read() -> None:
    assert file_system(Path("/proc/self/mountinfo").read_text(), "/proc/self/status") == "proc"
    assert "proc" not in NETWORK
