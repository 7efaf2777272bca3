"""``make test-pkcs11``: the device key in a TPM 2.0 (swtpm), by tpm2-pkcs11 and Debian's resource manager."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipad_agent.emulation.device_key import verify

DEBIAN = "/usr/lib/python3/dist-packages"
PIN, TOKEN = "314159", "gateway"
STORY = """
tpm2-abrmd --tcti=swtpm:host=127.0.0.1,port=$PORT --session --allow-root >/dev/null 2>&1 &
manager=$!
trap 'kill $manager' EXIT
export TPM2_PKCS11_TCTI=tabrmd:bus_type=session TPM2TOOLS_TCTI=tabrmd:bus_type=session
for _ in $(seq 100); do tpm2_getrandom 1 >/dev/null 2>&1 && break; sleep 0.1; done
tpm2_ptool init --path="$TPM2_PKCS11_STORE" >/dev/null
tpm2_ptool addtoken --pid=1 --label=$TOKEN --userpin=$PIN --sopin=271828 --path="$TPM2_PKCS11_STORE" >/dev/null
"$PYTHON" -c "$USE" && "$PYTHON" -c "$USE"
"""
USE = f"""
import sys
sys.path.append({DEBIAN!r})
from pathlib import Path
from ipad_agent.emulation.keys.pkcs11_key import Pkcs11Keys
(module,) = Path("/usr/lib").glob("*/pkcs11/libtpm2_pkcs11.so")
key = Pkcs11Keys(module, {TOKEN!r}, "ipad-agent", lambda: {PIN!r}).create()
print(key.spki.hex(), key.sign(b"what happened").hex())
"""


def two_ports() -> int:
    """A free port whose next one is free too: there the TPM's own library looks for the control channel."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[int]:
    """The port of a TPM that nobody owns yet."""
    (tmp_path / "tpm").mkdir()
    port = two_ports()
    where = "type=tcp,bindaddr=127.0.0.1,port="
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={tmp_path / 'tpm'}"]
    command += ["--flags", "not-need-init,startup-clear", "--server", f"{where}{port}", "--ctrl", f"{where}{port + 1}"]
    process = subprocess.Popen(command)
    yield port
    process.terminate()
    process.wait()


def test_a_tpm_makes_the_key_once_and_signs(tpm: int, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    names = {"PORT": str(tpm), "TOKEN": TOKEN, "PIN": PIN, "PYTHON": sys.executable, "USE": USE}
    environment = {**os.environ, **names, "TPM2_PKCS11_STORE": str(tmp_path / "store")}
    assert shutil.which("dbus-run-session")
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-euc", STORY], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second = (tuple(bytes.fromhex(half) for half in line.split()) for line in done.stdout.splitlines())
    assert first[0] == second[0]
    assert verify(first[0], first[1], b"what happened")
    assert verify(first[0], second[1], b"what happened")
