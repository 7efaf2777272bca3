"""A knock is good once, now, and with the right key; everything else is silence."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ipad_agent.wakeup.knock import KNOCK_BYTES, MOST_NONCES, NONCE_BYTES, WINDOW_S, KnockCheck, knock
from ipad_agent.wakeup.knock_listener import MOST_PER_S, KnockListener, _Port
from ipad_agent.wakeup.wake_calls import WakeCalls

KEY = bytes(range(32))
NOW_S = 1_900_000_000.0
NONCE = bytes(NONCE_BYTES)
HEAD = "4950414b01000001ba60d3380000000000000000000000000000000000"
MAC = "d42dda9b0e1029eb630601bd82a19b2a1e4d7fed1f6cfd911bea9c1842ec36fa"


def problem(check: KnockCheck, datagram: bytes, now_s: float = NOW_S, *, plausible: bool = True) -> str | None:
    return check.problem(datagram, now_s, clock_plausible=plausible)


def test_a_knock_has_a_written_down_form() -> None:
    """Other senders are written by it; the last 32 bytes are by ``openssl dgst -sha256 -mac HMAC``."""
    datagram = knock(KEY, NOW_S, NONCE)
    assert len(datagram) == KNOCK_BYTES == 61
    assert datagram.hex() == HEAD + MAC


def test_a_knock_is_good_once() -> None:
    check = KnockCheck(KEY)
    datagram = knock(KEY, NOW_S, NONCE)
    assert problem(check, datagram) is None
    assert problem(check, datagram) == "it came before"
    assert problem(check, knock(KEY, NOW_S, b"\x01" * 16)) is None


@pytest.mark.parametrize("off_s", [WINDOW_S + 1, -WINDOW_S - 1, 1e9])
def test_a_knock_of_another_time_is_none(off_s: float) -> None:
    assert problem(KnockCheck(KEY), knock(KEY, NOW_S, NONCE), NOW_S + off_s) is not None


def test_an_old_knock_does_not_come_back_when_its_nonce_is_forgotten() -> None:
    check = KnockCheck(KEY)
    datagram = knock(KEY, NOW_S + WINDOW_S - 1, NONCE)  # a sender whose clock is ahead
    assert problem(check, datagram, NOW_S) is None
    for later_s in (1.0, WINDOW_S, 2 * WINDOW_S - 2, 2 * WINDOW_S, 4 * WINDOW_S):
        assert problem(check, datagram, NOW_S + later_s) is not None


def test_a_device_without_the_time_follows_no_knock() -> None:
    assert problem(KnockCheck(KEY), knock(KEY, NOW_S, NONCE), plausible=False) is not None


def test_every_other_bit_makes_it_none() -> None:
    datagram = knock(KEY, NOW_S, NONCE)
    for at in range(len(datagram)):
        damaged = bytearray(datagram)
        damaged[at] ^= 1
        assert problem(KnockCheck(KEY), bytes(damaged)) is not None
    for odd in (b"", datagram[:-1], datagram + b"\0", knock(bytes(32), NOW_S, NONCE)):
        assert problem(KnockCheck(KEY), odd) is not None


def test_nonces_are_bounded() -> None:
    check = KnockCheck(KEY)
    good = [problem(check, knock(KEY, NOW_S, at.to_bytes(16, "big"))) for at in range(MOST_NONCES + 5)]
    assert good.count(None) == MOST_NONCES


async def test_a_knock_on_the_port_is_followed_and_nobody_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipad_agent.wakeup.knock_listener.time.time", lambda: NOW_S)
    followed = asyncio.Event()
    calls = WakeCalls(6, lambda _: followed.set(), lambda: 0.0, lambda: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    listener = KnockListener("127.0.0.1", port, KnockCheck(KEY), calls, lambda: None, lambda _: True)
    task = asyncio.create_task(listener.run())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        await asyncio.sleep(0)
        while not followed.is_set():
            line.sendto(b"nonsense", ("127.0.0.1", port))
            line.sendto(knock(KEY, NOW_S, NONCE), ("127.0.0.1", port))
            await asyncio.sleep(0.01)
        with pytest.raises(OSError):  # noqa: PT011 - nothing came, or the port was not open yet
            line.recv(1)
    task.cancel()


async def test_a_place_that_is_not_allowed_is_not_listened_at(caplog: pytest.LogCaptureFixture) -> None:
    calls = WakeCalls(6, lambda _: None, lambda: 0.0, lambda: None)
    why = "10.0.3.1 belongs to wwan0, which is no tunnel"
    listener = KnockListener("127.0.0.1", 9, KnockCheck(KEY), calls, lambda: why, lambda _: True)
    task = asyncio.create_task(listener.run())
    await asyncio.sleep(0.01)
    assert why in caplog.text
    task.cancel()


def test_what_only_looks_like_nothing_is_told_apart_from_a_wrong_key() -> None:
    """A port scan is no attack on the key, and a person who reads the log has to see which it was."""
    datagram = knock(KEY, NOW_S, NONCE)
    for odd in (b"", b"nonsense", datagram[:-1], datagram + b"\0", b"\0" + datagram[1:]):
        assert problem(KnockCheck(KEY), odd) == "it is no knock"
    assert problem(KnockCheck(KEY), knock(bytes(32), NOW_S, NONCE)) == "it does not prove the key"


async def test_a_flood_is_dropped_unseen_until_the_second_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[bytes] = []

    class Watched(KnockCheck):
        def problem(self, datagram: bytes, now_s: float, *, clock_plausible: bool) -> str | None:
            looked_at.append(datagram)
            return "it is no knock"

    now_s = 100.25
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s)
    calls = WakeCalls(6, lambda _: None, lambda: 0.0, lambda: None)
    port = _Port(KnockListener("127.0.0.1", 9, Watched(KEY), calls, lambda: None, lambda _: True))
    for _ in range(3 * MOST_PER_S):
        port.datagram_received(b"flood", ("127.0.0.1", 1))
    assert len(looked_at) == MOST_PER_S
    now_s = 101.0
    port.datagram_received(b"one more", ("127.0.0.1", 1))
    assert looked_at[-1] == b"one more"
