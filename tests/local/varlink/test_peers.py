"""Who may do what, by what the kernel and the user database say."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ipad_agent.local.varlink import peer_credentials
from ipad_agent.local.varlink.peer_credentials import Credentials, Right, UnixAuthority
from ipad_agent.local.varlink.socket_server import Server

from .service import FakeService

GROUPS = {"ipad": 501, "ipad-admin": 502, "ipad-examine": 503}
MEMBERS = {"reader": (2001, [2001, 501]), "admin": (2002, [2002, 502]), "other": (2003, [2003])}


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user database with three users and two groups."""

    def group(name: str) -> SimpleNamespace:
        return SimpleNamespace(gr_gid=GROUPS[name])

    def user(uid: int) -> SimpleNamespace:
        for name, (known, _) in MEMBERS.items():
            if known == uid:
                return SimpleNamespace(pw_name=name, pw_gid=uid)
        raise KeyError(uid)

    monkeypatch.setattr(grp, "getgrnam", group)
    monkeypatch.setattr(pwd, "getpwuid", user)
    monkeypatch.setattr(os, "getgrouplist", lambda name, _: MEMBERS[name][1])
    monkeypatch.setattr(os, "geteuid", lambda: 900)


def authority(read: str = "ipad", person_decision: str = "ipad-admin", examine: str = "ipad-examine") -> UnixAuthority:
    return UnixAuthority(read_group=read, control_group=person_decision, examine_group=examine)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("uid", "gid", "right"),
    [
        (0, 0, Right.CONTROL),
        (900, 900, Right.CONTROL),
        (2002, 2002, Right.CONTROL),
        (2001, 2001, Right.READ),
        (2003, 2003, Right.NONE),
        (2003, 501, Right.READ),  # by newgrp: the primary group of the process
        (4444, 4444, Right.NONE),  # unknown to the user database
        (4444, 502, Right.CONTROL),
        (4444, 503, Right.EXAMINE),  # a process under a user that only its service has
        (-1, -1, Right.NONE),
        (-1, 502, Right.NONE),
    ],
)
def test_rights_follow_user_and_groups(uid: int, gid: int, right: Right) -> None:
    assert authority().right_of(Credentials(1, uid, gid)) is right


@pytest.mark.usefixtures("database")
def test_a_group_that_does_not_exist_gives_nobody_anything() -> None:
    nobody = authority("missing", "")
    assert nobody.right_of(Credentials(1, 2001, 2001)) is Right.NONE
    assert nobody.right_of(Credentials(1, 2002, 502)) is Right.NONE
    assert nobody.right_of(Credentials(1, 0, 0)) is Right.CONTROL


def test_the_sentence_names_the_groups_that_have_the_right() -> None:
    assert authority().needed_for(Right.READ) == "group ipad or group ipad-examine or group ipad-admin or root"
    assert authority().needed_for(Right.EXAMINE) == "group ipad-examine or group ipad-admin or root"
    assert authority().needed_for(Right.CONTROL) == "group ipad-admin or root"
    assert authority("", "", "").needed_for(Right.CONTROL) == "root"


def test_the_real_user_database_can_be_asked() -> None:
    me = os.getuid()
    mine = grp.getgrgid(os.getgrouplist(pwd.getpwuid(me).pw_name, pwd.getpwuid(me).pw_gid)[-1]).gr_name
    chosen = UnixAuthority(read_group=mine, control_group="")
    chosen._own_uid = 1 << 30  # so that it is the group that counts
    expected = Right.CONTROL if me == 0 else Right.READ
    assert chosen.right_of(Credentials(os.getpid(), me, os.getgid())) is expected


def test_the_kernel_tells_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert Credentials.of(ours) == Credentials(os.getpid(), os.geteuid(), os.getegid())
    with socket.socket() as no_peer:
        no_peer.close()
        assert Credentials.of(no_peer) == Credentials(-1, -1, -1)


# -- another process, and where we may choose another user ------------------------------------------------------------

ASK = """
import json, os, socket, sys
path, uid = sys.argv[1], int(sys.argv[2])
if uid != os.getuid():
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
answers = []
for method in ("GetStatus", "Rollback"):
    connection.sendall(json.dumps({"method": "io.github.ipadagent." + method}).encode() + b"\\0")
    data = b""
    while not data.endswith(b"\\0"):
        data += connection.recv(65536) or b"\\0"
    answers.append(json.loads(data[:-1]).get("error", "ok").rpartition(".")[2])
print(json.dumps([os.getpid(), answers]))
"""


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
        yield folder


@pytest.mark.parametrize("group", ["read", "control", "none"])
async def test_a_process_of_another_user_gets_what_its_group_may(public_folder: Path, group: str) -> None:
    """As root under the user number of nobody, with the group in question faked by its number; as an ordinary user
    the other process is of the same user, whom the authority is told not to know as its own."""
    other = 65534 if os.getuid() == 0 else os.getuid()
    name = grp.getgrgid(65534 if os.getuid() == 0 else pwd.getpwuid(other).pw_gid).gr_name
    chosen = UnixAuthority(read_group=name if group == "read" else "", control_group=name if group == "control" else "")
    chosen._own_uid = 1 << 30
    service, path = FakeService(), public_folder / "socket"
    server = Server(service, path, chosen, version="1")
    task = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(60):
            while not path.is_socket():  # noqa: ASYNC110 - a file tells nobody that it is there
                await asyncio.sleep(0)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-c", ASK, str(path), str(other), stdout=subprocess.PIPE
            )
            output, _ = await process.communicate()
    finally:
        task.cancel()
        await asyncio.wait([task])
    _, answers = json.loads(output)
    assert (
        answers
        == {
            "none": ["NotAuthorized", "NotAuthorized"],
            "read": ["ok", "NotAuthorized"],
            "control": ["ok", "ok"],
        }[group]
    )
    assert service.calls == ([("rollback",)] if group == "control" else [])


def test_the_form_of_the_kernels_answer() -> None:
    """struct ucred of Linux: pid, uid, gid, each 32 bits, in host order."""
    assert peer_credentials._UCRED.size == 12
    assert peer_credentials._UCRED.unpack(struct.pack("=iii", 1, 2, 3)) == (1, 2, 3)
