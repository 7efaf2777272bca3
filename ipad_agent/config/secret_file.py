"""A secret named by its file: read when it is needed, never kept in the configuration, never printed."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ipad_agent.records import dataclass

from . import events
from .errors import SecretError

CREDENTIALS = "$CREDENTIALS_DIRECTORY/"
MAX_FILE_BYTES = 4096
MAX_PEM_BYTES = 1 << 16
LONGEST_KEY_BYTES = 64
LONGEST_CODE = 255


@dataclass(frozen=True, slots=True)
class SecretFile:
    """``path`` may begin with ``$CREDENTIALS_DIRECTORY/``, where systemd puts what ``LoadCredential=`` names."""

    path: str

    @classmethod
    def named(cls, name: str, folder: Path) -> SecretFile:
        """As written in a file of ``folder``."""
        return cls(name if name.startswith(CREDENTIALS) else str(folder / name))

    def resolve(self, environ: Mapping[str, str] | None = None) -> Path | None:
        """Where the file is; None for a credential outside of the service that is given it."""
        if not self.path.startswith(CREDENTIALS):
            return Path(self.path)
        directory = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY")
        return Path(directory) / self.path.removeprefix(CREDENTIALS) if directory else None

    def read_key(self, environ: Mapping[str, str] | None = None) -> bytes:
        """The key: 1 to 64 bytes, written as hexadecimal digits; white space does not matter.

        Raises ``SecretError``, which never holds any of the content.
        """
        path, content = self._read(environ)
        try:
            key = bytes.fromhex(content.decode("ascii"))
        except ValueError:
            raise SecretError(str(path), "holds no hexadecimal digits", allowed="a key in hexadecimal") from None
        if not 1 <= len(key) <= LONGEST_KEY_BYTES:
            raise SecretError(str(path), f"holds {len(key)} bytes", allowed=f"1 to {LONGEST_KEY_BYTES} bytes")
        return key

    def read_text(self, environ: Mapping[str, str] | None = None) -> str:
        """A code of 1 to 255 characters on one line; white space around it does not matter. Raises as ``read_key``."""
        path, content = self._read(environ)
        try:
            text = content.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise SecretError(str(path), "holds no text", allowed="a code in UTF-8") from None
        if not 1 <= len(text) <= LONGEST_CODE or len(text.splitlines()) != 1:
            raise SecretError(str(path), "holds no code", allowed=f"1 to {LONGEST_CODE} characters on one line")
        return text

    def read_pem(self, environ: Mapping[str, str] | None = None, *, public: bool = False) -> bytes:
        """The file as it is, up to 64 KiB; ``public`` for a certificate, which anybody may read. Raises as
        ``read_key``."""
        path, content = self._read(environ, most_bytes=MAX_PEM_BYTES, public=public)
        if len(content) > MAX_PEM_BYTES:
            raise SecretError(str(path), "is too large", allowed=f"up to {MAX_PEM_BYTES} bytes")
        return content

    def _read(
        self, environ: Mapping[str, str] | None, *, most_bytes: int = MAX_FILE_BYTES, public: bool = False
    ) -> tuple[Path, bytes]:
        path = self.resolve(environ)
        if path is None:
            raise SecretError(
                self.path, "systemd gave this process no credentials", allowed="LoadCredential= in a unit"
            )
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(most_bytes + 1)
        except OSError as error:
            raise SecretError(str(path), f"cannot be read: {error.strerror or error}") from None
        if not public and readable_by_others(mode):
            events.SECRET_READABLE.emit(path=str(path))
        return path, content


def readable_by_others(mode: int) -> bool:
    """Whether a file of this mode is open to users other than its owner and group."""
    return bool(mode & (stat.S_IROTH | stat.S_IWOTH))
