"""The last look at a bundle before it leaves: the finished archive, unpacked, searched for everything known.

It trusts no redaction: it only knows what must not be there and goes through every byte of every file.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tarfile
from typing import Final

from ipad_agent.errors import IpadError, Remedy
from ipad_agent.records import dataclass

from .identifier_forms import SHORT_SECRET_BYTES, Known, base64_forms, both_cases, hex_forms, packed

MAX_BYTES: Final = 64 << 20


class BundleRefused(IpadError):
    """A bundle holds what must not leave the device, or cannot be looked through."""

    remedy = Remedy.ASK_PERSON
    default_hint = "A defect of this program. Report the name of the file; the bundle was not written."


@dataclass(frozen=True, slots=True)
class Leak:
    """``what`` names the kind and form, never the thing."""

    file: str
    what: str


def check(archive: bytes, known: Known) -> None:
    """Raises ``BundleRefused`` naming the file that holds something known."""
    found = leaks(archive, known)
    if found:
        listed = "; ".join(f"{leak.file} holds {leak.what}" for leak in found[:5])
        raise BundleRefused(f"the support bundle is not handed out: {listed}")


def check_content(name: str, content: bytes, known: Known) -> None:
    """The same for a single file, as ``ipactl record export`` makes one."""
    found = _leaks_in(name, content, known)
    if found:
        raise BundleRefused("; ".join(dict.fromkeys(f"the file would hold {leak.what}" for leak in found[:5])))


def leaks(archive: bytes, known: Known) -> list[Leak]:
    """Everything known that stands in the archive, in contents or names. Raises ``BundleRefused`` for no archive."""
    found: list[Leak] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as unpacked:
            for member in unpacked:
                file = unpacked.extractfile(member)
                content = b"" if file is None else file.read(MAX_BYTES + 1)
                if len(content) > MAX_BYTES:
                    raise BundleRefused(f"{member.name} is too large to be looked through")
                found += _leaks_in(member.name, content + b"\n" + member.name.encode(), known)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BundleRefused(f"the support bundle cannot be read back: {error}") from error
    return found


def _leaks_in(name: str, content: bytes, known: Known) -> list[Leak]:
    found = []
    lower = content.lower()
    # Digits and hex with anything between that people put between digits.
    squeezed = re.sub(rb"(?<=[0-9a-f])[ \t\r\n:.,_\-\xc2\xb7]{1,3}(?=[0-9a-f])", b"", lower)
    for digits in known.identifiers:
        texts = {digits.lower().encode("ascii"), *(text.encode("ascii") for text in hex_forms(digits))}
        raw = packed(digits)
        if any(text in lower or text in squeezed for text in texts):
            found.append(Leak(name, "an identifier in digits or hex"))
        elif any(data in content for data in raw):
            found.append(Leak(name, "an identifier as raw bytes"))
        elif any(_base64(data, content) for data in (*(text.encode("ascii") for text in both_cases(digits)), *raw)):
            found.append(Leak(name, "an identifier in base64"))
    found += [Leak(name, "a secret") for secret in known.secrets if _holds_secret(secret, content, lower)]
    return found


def _base64(data: bytes, content: bytes) -> bool:
    return any(text.encode("ascii") in content for text in base64_forms(data))


def _holds_secret(secret: bytes, content: bytes, lower: bytes) -> bool:
    written = [secret]
    with contextlib.suppress(UnicodeDecodeError):
        written.append(json.dumps(secret.decode("utf-8"), ensure_ascii=False)[1:-1].encode("utf-8"))
    if len(secret) < SHORT_SECRET_BYTES:
        words = (rb"(?<![0-9A-Za-z])" + re.escape(word) + rb"(?![0-9A-Za-z])" for word in written)
        return bool(secret) and any(re.search(word, content) for word in words)
    return any(text in content for text in written) or secret.hex().encode("ascii") in lower or _base64(secret, content)
