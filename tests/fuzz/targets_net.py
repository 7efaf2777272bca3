"""What comes from the network: CoAP messages, blocks, HTTP, whole answers of eIM and SM-DP+, keys, addresses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, cast

from ipad_agent.codec.es10.eim_configuration import EimConfigurations
from ipad_agent.codec.identifiers import Eid
from ipad_agent.eim import BINDINGS, EimClient
from ipad_agent.eim.eim_endpoint import EndpointOverrides, address_of
from ipad_agent.emulation.registration.provisioning_bundle import UnusableBundle, read_bundle
from ipad_agent.errors import CodecError, ConfigError, EimError, IpadError, NetworkError
from ipad_agent.inject import json_transfer
from ipad_agent.net.carrier import Traffic
from ipad_agent.net.coap.blockwise_transfer import Block, BlockRequest, BlockResponse, Transfer
from ipad_agent.net.coap.coap_association import Association, Tuning
from ipad_agent.net.dtls import dtls_records
from ipad_agent.net.dtls.dtls_backend import Established
from ipad_agent.net.errors import ProtocolViolation, TrustRefused, TrustUnusable
from ipad_agent.net.host_address import split_address
from ipad_agent.net.https.https_carrier import HttpsCarrier
from ipad_agent.net.https.https_connection import HttpRequest, HttpsConnection, Progress
from ipad_agent.net.https.https_endpoint import HttpsEndpoint
from ipad_agent.net.trust.certificate_chain import Verdict, judge
from ipad_agent.net.trust.pinned_trust import Pinned, Trust
from ipad_agent.smdp.es9_client import SmdpClient

from .fakes import Plain, Playback, Session, Sink, Still, run
from .target import Kind, Reader, Target

_LIMIT_BYTES: Final = 1 << 18
_BLOCKS_BYTES: Final = 20_000
_TRANSACTION: Final = bytes.fromhex("0a0b")
_ASKED_MID, _ASKED_TOKEN = bytes.fromhex("1234"), bytes.fromhex("aabb")
"""In the corpus these stand for the message ID and the token of the request, which are different each time."""


# -- CoAP --------------------------------------------------------------------------------------------------------------
def _addressed(message: bytes, request: bytes) -> bytes:
    """``message`` as an answer to ``request`` where it has the marks of one."""
    token = request[4 : 4 + (request[0] & 0x0F)]
    first, rest = message[:1], message[4:]
    mid = request[2:4] if message[2:4] == _ASKED_MID else message[2:4]
    if len(message) >= 6 and message[0] & 0x0F == len(_ASKED_TOKEN) and rest.startswith(_ASKED_TOKEN):
        first = bytes([message[0] & 0xF0 | len(token)])
        rest = token + rest[len(_ASKED_TOKEN) :]
    return first + message[1:2] + mid + rest


async def _asked(data: bytes) -> object:
    """What a request comes to when ``data`` arrives, twice; None when it is still waiting."""
    session = Session()
    association = Association(session, ("eim.example", 5684), Traffic())
    association._ready.set_result(Established(False, "none", Verdict("test")))
    asking = asyncio.ensure_future(
        association.request(
            BlockRequest(b"\xbf\x4f\x00"),
            path=("gsma", "rsp2", "asn1"),
            uri_host=None,
            content_format=None,
            tuning=Tuning(60.0, 1),
        )
    )
    try:
        await session.spoken.wait()
        message = _addressed(data, session.sent[0])
        for _ in range(2):
            association._take_message(message)
            for _ in range(5):
                await asyncio.sleep(0)
        if asking.done():
            return asking.result()
        return None
    finally:
        asking.cancel()
        await asyncio.wait({asking})
        association.close()


def _blocks(data: bytes) -> object:
    """The input as a series of responses, eight bytes of head each; whatever they are, the transfer must end."""
    size_exp = min(data[0] & 7, 6) if data else 6
    transfer = Transfer(bytes(3000), size_exp=size_exp, max_response_bytes=_BLOCKS_BYTES, new_tag=bytes)
    at = 1
    while at + 8 <= len(data):
        code, shape, one, two, low, size, tag, echo = data[at : at + 8]
        at += 8
        payload = data[at : at + 16 * size] if shape & 1 else bytes(16 << (two & 7))
        at += 16 * size if shape & 1 else 0
        transfer.next_request()
        body = transfer.accept(
            BlockResponse(
                code,
                payload,
                Block(one >> 4 | low << 4, bool(one & 8), one & 7) if shape & 2 else None,
                Block(two >> 4 | low << 4, bool(two & 8), two & 7) if shape & 4 else None,
                max_age_s=size if shape & 8 else None,
                echo=bytes([echo]) if shape & 16 else None,
                etag=bytes([tag]) if shape & 32 else None,
                size2=size << 12 if shape & 64 else None,
            )
        )
        if len(transfer._collected if body is None else body) > _BLOCKS_BYTES:
            raise AssertionError("it collects more than it may")
        if body is not None:
            return body
    return None


def _records(data: bytes) -> object:
    found = dtls_records.split(data)
    if any(len(record) != dtls_records.HEADER_BYTES + int.from_bytes(record[11:13], "big") for record in found):
        raise AssertionError("a record is not as long as it says")
    return found


# -- HTTP --------------------------------------------------------------------------------------------------------------
_TRUST: Final = Trust(Pinned.STORE, ())


def _http(data: bytes) -> object:
    return run(_http_answer(data))


async def _http_answer(data: bytes) -> object:
    connection = HttpsConnection(
        asyncio.StreamReader(),
        cast(Any, Sink()),
        cast(Any, Plain(data)),
        traffic=Traffic(),
        progress=Progress(60.0, 1),
        max_response_bytes=_LIMIT_BYTES,
    )
    request = HttpRequest("/gsma/rsp2/asn1", (("Host", "eim.example"), ("Content-Length", "3")), b"\xbf\x4f\x00")
    response = await connection.request(request)
    carrier = HttpsCarrier(HttpsEndpoint("eim.example", _TRUST), clock=Still())
    return carrier._content(response), connection.reusable


# -- whole answers -----------------------------------------------------------------------------------------------------
_EID: Final = Eid.parse("89049032123451234512345678901235")
_RESULT: Final = bytes.fromhex("bf5108a206800165840103")
_NOTIFICATION: Final = bytes.fromhex("3005bf2f020c00")
_AUTHENTICATED, _PREPARED, _CANCELLED = map(bytes.fromhex, ("bf3802a000", "bf2102a000", "bf4102a000"))


def _eim_calls(eim: EimClient) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "get_eim_package": eim.get_eim_package,
        "provide_eim_package_result": lambda: eim.provide_eim_package_result(_RESULT),
        "handle_notification": lambda: eim.handle_notification(_NOTIFICATION),
        "initiate_authentication": lambda: eim.initiate_authentication(challenge=bytes(16)),
        "authenticate_client": lambda: eim.authenticate_client(_TRANSACTION, _AUTHENTICATED),
        "get_bound_profile_package": lambda: eim.get_bound_profile_package(_TRANSACTION, _PREPARED),
        "cancel_session": lambda: eim.cancel_session(_TRANSACTION, _CANCELLED),
    }


def _smdp_calls(smdp: SmdpClient) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "authenticate_client": lambda: smdp.authenticate_client(_TRANSACTION, _AUTHENTICATED),
        "get_bound_profile_package": lambda: smdp.get_bound_profile_package(_TRANSACTION, _PREPARED),
        "cancel_session": lambda: smdp.cancel_session(_TRANSACTION, _CANCELLED),
        "handle_notification": lambda: smdp.handle_notification(_NOTIFICATION),
    }


def _stepped(call: Awaitable[object]) -> object:
    """What ``call`` returns; it never waits, because the carrier answers at once."""
    story = call.__await__()
    try:
        next(story)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def _eim_reader(binding: str, name: str) -> Reader:
    return lambda data: _stepped(
        _eim_calls(EimClient(Playback(data), _EID, eim_id="eim-1", binding=BINDINGS[binding]))[name]()
    )


def _smdp_reader(name: str) -> Reader:
    return lambda data: _stepped(_smdp_calls(SmdpClient(Playback(data), "smdp.example"))[name]())


def _eim_readers(binding: str) -> dict[str, Reader]:
    names = _eim_calls(EimClient(Playback(b""), _EID))
    return {name: _eim_reader(binding, name) for name in names}


def _smdp_readers() -> dict[str, Reader]:
    return {name: _smdp_reader(name) for name in _smdp_calls(SmdpClient(Playback(b""), "smdp.example"))}


# -- keys and addresses ------------------------------------------------------------------------------------------------
def _judged(data: bytes) -> object:
    """``data`` as the only certificate of a server, and as one beside itself."""
    pinned = Trust(Pinned.SPKI, (b"\x30\x00",))
    with contextlib.suppress(TrustRefused):
        judge([data], pinned, host="eim.example", now_s=1_795_183_331.0)
    return judge([data, data, data], pinned, host="eim.example", now_s=1_795_183_331.0)


def _addresses(data: bytes) -> object:
    """Where every eIM of a card's list would be sought."""
    return [address_of(eim, EndpointOverrides()) for eim in EimConfigurations.parse(data).configs]


def _split_address(data: bytes) -> object:
    return split_address(data.decode("utf-8", "surrogateescape"))


def targets() -> Iterator[Target]:
    """From the datagram up to the answer of a function."""
    coap: Reader = lambda data: run(_asked(data))  # noqa: E731
    yield Target("coap", Kind.BYTES, {"request": coap}, (NetworkError, EimError), examples=400)
    yield Target("blockwise", Kind.BYTES, {"accept": _blocks}, (EimError,), examples=800)
    yield Target("dtls-records", Kind.BYTES, {"split": _records}, (ProtocolViolation,))
    yield Target("http", Kind.LINES, {"request": _http}, (NetworkError, EimError), examples=400)
    yield Target("eim-asn1", Kind.BER, _eim_readers("asn1"), (EimError,), "ber", examples=200)
    yield Target("eim-json", Kind.JSON, _eim_readers("json"), (EimError,), "rsp-json", examples=200)
    yield Target("smdp", Kind.JSON, _smdp_readers(), (IpadError,), "rsp-json", examples=200)
    yield Target(
        "trust",
        Kind.BER,
        {
            "spki": Trust.spki,
            "certificate": Trust.certificate,
            "store": lambda data: Trust.store([data]),
            "pem": Trust.from_pem,
            "judge": _judged,
        },
        (TrustUnusable, TrustRefused),
        logged=False,
    )
    yield Target("eim-address", Kind.BER, {"address_of": _addresses}, (ConfigError, CodecError), "ber", examples=200)
    yield Target("pushed-json", Kind.JSON, {"request_in_asn1": json_transfer.request_in_asn1}, (CodecError,))
    # A bundle is refused by every fault of form, so most inputs end soon.
    yield Target("provisioning-bundle", Kind.JSON, {"read_bundle": read_bundle}, (UnusableBundle,), examples=400)
    yield Target("host", Kind.LINES, {"split_address": _split_address}, (ValueError,), logged=False)
