"""``ipad-agent lab replay``: a recording served until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
from pathlib import Path

from ipad_agent.lab.bench.agent_toml import Table, to_toml
from ipad_agent.lab.eim.eim_identity import EimIdentity
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.replay.recorded_session import RecordedSession, load
from ipad_agent.lab.replay.replay_bench import Replay


def replay(args: argparse.Namespace) -> int:
    """Serve, say how to reach it, and in the end what was missing. 0 when nothing was, 1 otherwise."""
    session = load(args.recording)
    folder: Path = args.dir.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    identity = None if args.pki is None else EimIdentity.from_pki(Pki.load(args.pki), tls=args.tls)
    return asyncio.run(_serve(session, folder, identity, args.eim_port))


async def _serve(session: RecordedSession, folder: Path, identity: EimIdentity | None, port: int) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Replay(session, folder / "replayed-modem", identity=identity, port=port) as played:
        config = folder / "replay.toml"
        config.write_text(_configuration(folder, played, identity))
        print(f"{len(session.modem)} exchanges with a modem, {len(session.esipa)} with an eIM are recorded.")
        if session.unreadable_lines:
            print(f"{session.unreadable_lines} lines cannot be read and are left out.")
        if not session.modem or session.modem[0].sent.strip().upper() not in (b"", b"AT"):
            print("The recording does not begin with an agent's start: what an agent asks first is not in it.")
        print(f"modem    {played.modem_path}")
        if played.server is None:
            print("eIM      not played: only its own key would let an agent trust it (--pki, for recordings of a lab)")
        else:
            print(f"eIM      coaps://127.0.0.1:{played.server.port}/gsma/rsp2/asn1")
        print(f"agent    ipad-agent run --config {shlex.quote(str(config))}", flush=True)
        await stop.wait()
        for line in played.report():
            print(line)
    return 1 if played.missing else 0


def _configuration(folder: Path, played: Replay, identity: EimIdentity | None) -> str:
    """For an agent that meets nothing else of this machine."""
    for name in ("replay-state", "replay-run", "hooks.d", "conditions.d"):
        (folder / name).mkdir(exist_ok=True, mode=0o700)
    tables: dict[str, Table] = {
        "modem": {"port": played.modem_path, "lock_dir": folder},
        "poll": {"first_s": 1, "phase_window_s": 0, "jitter": 0.0},
        "site": {"hooks_dir": folder / "hooks.d", "conditions_dir": folder / "conditions.d"},
        "local": {"dbus": "off"},
        "store": {"state_dir": folder / "replay-state", "runtime_dir": folder / "replay-run"},
    }
    if played.server is None or identity is None:
        return to_toml(tables)
    eim: Table = {"id": identity.eim_id, "host": "127.0.0.1", "port": played.server.port}
    return to_toml({**tables, "eim": [eim]})
