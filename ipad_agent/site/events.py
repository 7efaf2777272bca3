"""What this room says (IPA-14xx)."""

from __future__ import annotations

from ipad_agent.events import DEBUG, INFO, WARNING, define


@define(
    "IPA-1401",
    WARNING,
    "{path} is not run: {reason}.",
    "The agent runs executable files of its own user or root that not everybody may write to, in folders of the same "
    "kind. Correct owner and mode (`chown root`, `chmod 755`), or take the file away. Said once per file and reason.",
)
def SCRIPT_REFUSED(*, path: str, reason: str) -> None: ...


@define(
    "IPA-1402",
    WARNING,
    "Hook {name} for {moment} failed: {reason}",
    "A script of the site did not end with status 0 in time. The agent goes on as if it had: a hook can delay a "
    "switch, but not decide about it. Run the script by hand with IPAD_MOMENT set to see what is wrong.",
)
def HOOK_FAILED(*, name: str, moment: str, reason: str) -> None: ...


@define("IPA-1403", INFO, "Hook {name} ran for {moment}.", "A script of the site was told of this moment.")
def HOOK_RAN(*, name: str, moment: str) -> None: ...


@define(
    "IPA-1404",
    WARNING,
    "{name} was killed and does not end.",
    "The kernel holds the process of a script in a call that cannot be interrupted, most often of a broken device or "
    "network disk. The agent goes on without it.",
)
def SCRIPT_STUCK(*, name: str) -> None: ...


@define(
    "IPA-1405",
    DEBUG,
    "Condition {name} says: {reason}",
    "A script in the folder of conditions ended with this; status 0 is no objection.",
)
def CONDITION_SCRIPT(*, name: str, reason: str) -> None: ...
