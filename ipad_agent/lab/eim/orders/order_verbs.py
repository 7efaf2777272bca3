"""Orders as a person types them: ``enable 8949... --rollback``. The command line wires these to a queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ipad_agent.lab.eim.device_records import Order
from ipad_agent.lab.eim.errors import OrderError

from . import package_bytes
from .package_bytes import DATA_TAGS, DataRequest


@dataclass(frozen=True, slots=True)
class Verb:
    """One order verb: how to type it, what it does, and the builder from the words behind it."""

    usage: str
    about: str
    build: Callable[[Sequence[str]], Order]


def build_order(words: Sequence[str]) -> Order:
    """The order that the words describe. ``+`` joins operations of one package: ``disable X + delete X``.

    Raises ``OrderError`` with the verb's usage when the words do not fit.
    """
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "+":
            parts.append([])
        else:
            parts[-1].append(word)
    orders = [_build_one(part) for part in parts]
    if len(orders) == 1:
        return orders[0]
    kinds = {order.kind for order in orders}
    if len(kinds) != 1 or not kinds <= {package_bytes.PSMO, package_bytes.ECO}:
        raise OrderError("only operations of one kind go into a package: profiles, or eIMs")
    operations = tuple(operation for order in orders for operation in order.operations)
    return Order(kinds.pop(), " + ".join(order.label for order in orders), operations)


def _build_one(words: Sequence[str]) -> Order:
    if not words or words[0] not in VERBS:
        raise OrderError(f"{words[0] if words else 'nothing'!r} is none of {', '.join(VERBS)}")
    verb = VERBS[words[0]]
    try:
        order = verb.build(words[1:])
    except (IndexError, ValueError) as error:
        raise OrderError(f"usage: {words[0]} {verb.usage}".rstrip()) from error
    order.label = order.label or " ".join(words)
    return order


def _psmo(operation: bytes) -> Order:
    return Order(package_bytes.PSMO, "", (operation,))


def _eco(operation: bytes) -> Order:
    return Order(package_bytes.ECO, "", (operation,))


def _only(words: Sequence[str], count: int) -> Sequence[str]:
    if len(words) != count:
        raise ValueError(f"{count} words are wanted")
    return words


def _no_words(wrap: Callable[[bytes], Order], build: Callable[[], bytes]) -> Callable[[Sequence[str]], Order]:
    def builder(words: Sequence[str]) -> Order:
        _only(words, 0)
        return wrap(build())

    return builder


def _one_word(build: Callable[[str], bytes]) -> Callable[[Sequence[str]], Order]:
    return lambda words: _eco(build(_only(words, 1)[0]))


def _enable(words: Sequence[str]) -> Order:
    rollback = "--rollback" in words
    (iccid,) = [word for word in words if word != "--rollback"]
    return _psmo(package_bytes.enable(iccid, rollback=rollback))


def _one_iccid(build: Callable[[str], bytes]) -> Callable[[Sequence[str]], Order]:
    return lambda words: _psmo(build(_only(words, 1)[0]))


def _list_profiles(words: Sequence[str]) -> Order:
    return _psmo(package_bytes.list_profile_info(tags=[int(word, 16) for word in words]))


def _immediate_enable(words: Sequence[str]) -> Order:
    if words[0] not in ("on", "off") or len(words) > 3:
        raise ValueError(words[0])
    oid, address = [*(None if word == "-" else word for word in words[1:]), None, None][:2]
    operation = package_bytes.configure_immediate_enable(on=words[0] == "on", smdp_oid=oid, smdp_address=address)
    return _psmo(operation)


def _set_default_dp(words: Sequence[str]) -> Order:
    return _psmo(package_bytes.set_default_dp(_only(words, 1)[0] if words else ""))


def _data_request(words: Sequence[str]) -> Order:
    names = [name for word in words for name in word.split(",") if name]
    if not names:
        raise ValueError("no tags")
    tags = tuple(DATA_TAGS[name] if name in DATA_TAGS else int(name, 16) for name in names)
    return Order("data", "", data=DataRequest(tags))


def _trigger(words: Sequence[str]) -> Order:
    rest = list(words)
    held = "--held" in rest
    if held:
        rest.remove("--held")
    confirmation_code = None
    if "--cc" in rest:
        at = rest.index("--cc")
        confirmation_code = rest[at + 1]
        del rest[at : at + 2]
    # The code is a secret of the subscriber: the label is what lists and logs show.
    label = " ".join(["trigger", *rest, *(["--held"] if held else [])])
    return Order("trigger", label, code=_only(rest, 1)[0], held=held, confirmation_code=confirmation_code)


def _raw(words: Sequence[str]) -> Order:
    body = "--body" in words
    (value,) = [word for word in words if word != "--body"]
    return Order("raw-body" if body else "raw", "", (_bytes(value),))


def _bytes(word: str) -> bytes:
    if not word.startswith("@"):
        return bytes.fromhex(word)
    try:
        return Path(word[1:]).read_bytes()
    except OSError as error:
        raise OrderError(f"{word[1:]} cannot be read: {error}") from error


VERBS: dict[str, Verb] = {
    "enable": Verb("ICCID [--rollback]", "enable a profile", _enable),
    "disable": Verb("ICCID", "disable a profile", _one_iccid(package_bytes.disable)),
    "delete": Verb("ICCID", "delete a profile", _one_iccid(package_bytes.delete)),
    "list-profiles": Verb("[TAG ...]", "list the profiles (tags in hex, as 9F70)", _list_profiles),
    "get-rat": Verb("", "read the rules authorisation table", _no_words(_psmo, package_bytes.get_rat)),
    "immediate-enable": Verb("on|off [SMDP_OID|-] [ADDRESS]", "configure immediate enabling", _immediate_enable),
    "set-fallback": Verb("ICCID", "make a profile the fallback", _one_iccid(package_bytes.set_fallback)),
    "unset-fallback": Verb("", "have no fallback profile", _no_words(_psmo, package_bytes.unset_fallback)),
    "set-default-dp": Verb("[ADDRESS]", "set or clear the default SM-DP+", _set_default_dp),
    "add-eim": Verb(
        "HEX|@FILE", "add an eIM from its configuration", _one_word(lambda word: package_bytes.add_eim(_bytes(word)))
    ),
    "update-eim": Verb(
        "HEX|@FILE", "change an eIM's entry", _one_word(lambda word: package_bytes.update_eim(_bytes(word)))
    ),
    "delete-eim": Verb("EIM_ID", "remove an eIM", _one_word(package_bytes.delete_eim)),
    "list-eim": Verb("", "list the eIMs", _no_words(_eco, package_bytes.list_eim)),
    "data-request": Verb(
        "NAME|TAG[,...]", f"ask device and eUICC for data: {', '.join(DATA_TAGS)}, or a tag in hex", _data_request
    ),
    "trigger": Verb(
        "CODE|default|smds[:ADDRESS]|none [--held] [--cc CONFIRMATION]",
        "order a profile download; --held keeps the code here for the relay",
        _trigger,
    ),
    "raw": Verb("HEX|@FILE [--body]", "hand out these bytes as the package, or as the whole answer", _raw),
}
