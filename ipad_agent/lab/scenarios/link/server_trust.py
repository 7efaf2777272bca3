"""Stories about who the other end is: pinned keys, certificates, pre-shared keys, curves (SGP.32 v1.2 §2.6.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.ecdsa import CURVES
from ipad_agent.lab.eim import TlsIdentity, add_initial_eim
from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.lab.euicc.es10 import eim_entries
from ipad_agent.lab.pki import Credential
from ipad_agent.lab.pki.certificates import Issuer, eim_tls
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    APPLICATION_DATA,
    carries,
    case,
    check_enabled,
    check_nothing_left,
    clear_handshakes,
    connection_attempts,
    play,
    quick,
    serving_as,
)

REFUSED, EXPIRED_ACCEPTED = "IPA-3002", "IPA-9031"
FIRST_BACKOFF_S = 0.5
CERTIFICATE, SERVER_KEY_EXCHANGE = 11, 12
BRAINPOOL_P256R1 = bytes.fromhex("03001A")
"""Of a ServerKeyExchange: named curve (3), brainpoolP256r1 (26, RFC 7027)."""


@scenario(
    "wrong-pin",
    "A server with another key than the eUICC names hears nothing; a corrected pin brings it back.",
    deadline_s=60,
)
async def wrong_pin(run: Run) -> None:
    """The eIM has a new TLS key that the card does not know. Then the card's entry is updated, as updateEim does."""
    async with run.bench(quick(provision="card", tls_pin="leaf-spki")) as bench:
        changed = _identity(bench.pki.variant("eim-tls-self", "foreign"))
        async with serving_as(bench, changed):
            await _is_refused(run, bench)
            await _backs_off(run, bench)
            pin = replace(bench.identity, tls=changed).configuration(
                fqdn=None, id_type=None, counter=None, ask_for_token=False, signing="none", protocols=None
            )
            updated = eim_entries.update(bench.card.isdr, der.parse(pin))
            bench.card.isdr.commit()
            run.check("the card names the new key now", updated == 0)
            await play(run, bench, [case("list-profiles", "listProfileInfo ok")])
        check_nothing_left(run, bench)


@scenario(
    "foreign-certificate",
    "A certificate of another authority with the right names is refused before a word.",
    deadline_s=60,
)
async def foreign_certificate(run: Run) -> None:
    """The card names the CA; the server shows the same names, issued by a CA with the same name and another key."""
    async with run.bench(quick(provision="card", tls="issued", tls_pin="ca-certificate")) as bench:
        foreign, ca = bench.pki.variant("eim-tls-issued", "foreign"), bench.pki.variant("eim-ca", "foreign")
        async with serving_as(bench, _identity(foreign, ca)):
            await _is_refused(run, bench)
            await _backs_off(run, bench)
        async with serving_as(bench, bench.identity.tls):
            await play(run, bench, [case("list-profiles", "listProfileInfo ok", name="with the right certificate")])


@scenario(
    "expired-certificate",
    "An expired certificate is refused, unless the configuration allows it for this eIM.",
    deadline_s=60,
)
async def expired_certificate(run: Run) -> None:
    """The card names the CA, so that the dates count."""
    async with run.bench(quick(provision="card", tls="issued", tls_pin="ca-certificate")) as bench:
        expired = bench.pki.variant("eim-tls-issued", "expired")
        async with serving_as(bench, _identity(expired, bench.pki["eim-ca"])):
            await _is_refused(run, bench)
            await bench.agent.terminate()
            config = bench.folder / "agent.toml"
            config.write_text(config.read_text().replace("[[eim]]\n", "[[eim]]\nallow_expired = true\n"))
            await bench.agent.start()
            await play(run, bench, [case("list-profiles", "listProfileInfo ok", name="expired, but allowed")])
            run.check("the tolerance is in the log", bool(bench.agent.said(EXPIRED_ACCEPTED)))


@scenario(
    "psk",
    "With a pre-shared key no certificate is shown, orders are carried out, and a wrong key opens nothing.",
    deadline_s=60,
)
async def psk(run: Run) -> None:
    """The last step changes the key in the device's file."""
    async with run.bench(
        quick(provision="card", tls="psk", config={"coap": {"handshake_timeout_s": 2, "ack_timeout_s": 1.0}})
    ) as bench:
        await bench.agent.start()
        await play(run, bench, [case("list-profiles", "listProfileInfo ok"), case(f"enable {OPERATOR_A}", "enable ok")])
        check_enabled(run, bench, OPERATOR_A)
        tap = list(bench.proxy.link.tap)
        run.check("no certificate was shown", bool(tap) and not clear_handshakes(tap, CERTIFICATE))
        await bench.agent.terminate()
        (bench.folder / "psk.key").write_text("00" * 16)
        bench.eim.skip()
        bench.proxy.link.tap.clear()
        await bench.agent.start()
        async with run.step("with a wrong key the poll fails"):
            event = await bench.agent.event("IPA-1005", deadline_s=60)
        run.check("nothing reached the eIM", not _application_data(bench, "up"), event.text)


@scenario("brainpool", "Card, package signatures and DTLS work on brainpoolP256r1.", deadline_s=60)
async def brainpool(run: Run) -> None:
    """The curve of the handshake is read from the datagrams."""
    async with run.bench(quick(provision="none", curve="brainpool", dtls={"groups": "brainpoolP256r1"})) as bench:
        tls = _brainpool_identity(bench)
        await _associate(bench, tls)
        async with serving_as(bench, tls):
            await bench.agent.start()
            await play(
                run, bench, [case("list-profiles", "listProfileInfo ok"), case(f"enable {OPERATOR_A}", "enable ok")]
            )
        exchanges = clear_handshakes(list(bench.proxy.link.tap), SERVER_KEY_EXCHANGE)
        run.check("a key was exchanged", bool(exchanges))
        run.check("on brainpoolP256r1", all(BRAINPOOL_P256R1 in item.data for item in exchanges))
        check_enabled(run, bench, OPERATOR_A)
        check_nothing_left(run, bench)


async def _is_refused(run: Run, bench: Bench) -> None:
    """The agent connects, does not like what it sees, says so, and has told the server nothing."""
    await bench.agent.start()
    async with run.step("the server is refused") as step:
        event = await bench.agent.event(REFUSED, deadline_s=30)
        step.detail = event.text
    run.check("a certificate was shown", bool(clear_handshakes(list(bench.proxy.link.tap), CERTIFICATE)))
    run.check("not a word was said to it", not _application_data(bench, "up"))
    run.check("the eIM saw no request", not bench.eim.bodies)


async def _backs_off(run: Run, bench: Bench) -> None:
    async with run.step("the agent tries again, after a pause each time") as step:
        # What the agent says about its next poll is what is left of the pause, on a slow machine less: two attempts
        # are never closer together than the pause.
        refusals = [await bench.agent.event(REFUSED, deadline_s=30) for _ in range(4)]
        moments = [event.t_s for event in refusals if event.t_s is not None]
        pauses = [after - before for before, after in pairwise(moments)]
        step.detail = ", ".join(f"{pause:.2f} s" for pause in pauses)
    run.check("no pause is shorter than half of the first back-off", min(pauses) >= FIRST_BACKOFF_S / 2)
    attempts = connection_attempts(bench)
    run.check("one connection for each attempt", 1 < len(attempts) <= 5, f"{len(attempts)} connections")
    run.check("still not a word was said", not _application_data(bench, "up") and not bench.eim.bodies)


def _application_data(bench: Bench, direction: str) -> bool:
    return any(item.direction == direction and carries(item, APPLICATION_DATA) for item in bench.proxy.link.tap)


def _identity(leaf: Credential, *chain: Credential) -> TlsIdentity:
    return TlsIdentity(leaf.private_key, (leaf.certificate, *(one.certificate for one in chain)))


def _brainpool_identity(bench: Bench) -> TlsIdentity:
    """A self-signed certificate on the curve that the lab's PKI does not use for TLS."""
    key = ec.generate_private_key(CURVES["brainpool"]())
    request = eim_tls(bench.identity.eim_id, ["localhost", "127.0.0.1"])
    now = datetime.now(UTC)
    certificate = Issuer(request.subject, key).issue(
        request, key.public_key(), now - timedelta(days=1), now + timedelta(days=30)
    )
    return TlsIdentity(key, (certificate,))


async def _associate(bench: Bench, tls: TlsIdentity) -> None:
    """What a factory does, with this TLS key."""
    token = bench.card.state.next_token
    bench.eim.eim.device(bench.eid).token = token
    configuration = replace(bench.identity, tls=tls).configuration(fqdn="localhost")
    bench.card.es10.execute(add_initial_eim(configuration))
