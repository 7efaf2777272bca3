"""What a word of the field is called here: functions of SGP.32 and SGP.22, and the verbs of other programs for eSIMs,
modems and services.

A key is a word as ``similar_names.plain`` makes it, so that ``AddInitialEim`` and ``add-initial-eim`` are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ORDERED: Final = (
    "Profiles are enabled, disabled and deleted by order of their manager (eIM). `ipactl plan ICCID` says whether a "
    "change would work here, `ipactl poll` fetches the order."
)
_SERVICE: Final = "The service manager does that, such as `systemctl restart ipad-agent`."
_STATUS: Final = "`ipactl status` says how the device is."
_PROFILES: Final = "`ipactl profiles` lists the profiles on the card."
_EIMS: Final = "`ipactl eims` lists the managers (eIM)."
_OWED: Final = "`ipactl owed` lists what managers and SM-DP+s have not got yet; `ipactl history` what was done."
_POLL: Final = "`ipactl poll` asks the managers (eIM) for work now."
_EID: Final = "`ipactl eid` is the card's number, `ipactl status` says the rest."
_LOG: Final = "`ipactl log` shows the last messages, `ipactl watch` the next ones."
_DOCTOR: Final = "`ipactl doctor` finds out what is wrong; `ipactl explain ID` says what a message means."
_BUNDLE: Final = "`ipactl bundle` writes a file for whoever helps."
_PROVISION: Final = "`ipactl provision FILE` gives a card that nobody manages its first manager (eIM)."
_DOWNLOAD: Final = "`ipactl download CODE` downloads a profile, where the configuration allows it."
_FALLBACK: Final = "`ipactl fallback` changes to the fallback profile, `ipactl fallback --return` back."
_EMERGENCY: Final = "`ipactl emergency on` enables the profile for emergency calls, `ipactl emergency off` goes back."
_RESET: Final = "`ipactl reset-euicc --what PART` deletes from the card; `ipactl reset-euicc --help` names the parts."
_BUDGET: Final = "`ipactl budget` shows the data used, and what for."
_CONFIG: Final = "`ipactl config show` shows what the agent runs with, `ipactl config check` looks for mistakes."
_MODEM: Final = "`ipactl modem list` shows the modems, `ipactl status` the one that the agent uses."
_NO_NICKNAME: Final = "A profile's nickname cannot be changed from here."

_MEANT: Final[Mapping[str, str]] = {
    _STATUS: "info show stat state overview health summary verdict",
    _PROFILES: "profile list ls sim sims subscription subscriptions iccid getprofilesinfo listprofileinfo profileinfo",
    _EIMS: "eim manager managers server servers listeim geteimconfigurationdata eimconfig",
    ORDERED: "enable disable delete remove select psmo enableprofile disableprofile deleteprofile loadeuiccpackage",
    _OWED: "journal queue pending results notification notifications listnotification retrievenotificationslist "
    "removenotificationfromlist notificationsent outbox",
    _POLL: "sync update fetch retrieve pull geteimpackage eimpackageretrieval trigger now",
    _EID: "euicc chip geteid geteuiccinfo geteuiccinfo1 geteuiccinfo2 euiccinfo",
    _LOG: "logs events messages journalctl dmesg tail follow monitor",
    _DOCTOR: "why diagnose diagnostics diag check test ping verify troubleshoot reason",
    _BUNDLE: "support report dump collect debug sosreport",
    _PROVISION: "addinitialeim initialeim addeim add",
    _DOWNLOAD: "install downloadprofile profiledownload discovery activationcode",
    _FALLBACK: "executefallbackmechanism executefallback returnfromfallback return",
    "`ipactl rollback` goes back while a change is not proved yet.": "profilerollback revert undo back",
    "`ipactl confirm` keeps the new profile.": "commit accept keep",
    _EMERGENCY: "ecall enableemergencyprofile disableemergencyprofile",
    _RESET: "reset euiccmemoryreset memoryreset factoryreset erase wipe",
    "`ipactl card immediate-enable on` allows it.": "immediateenable configureimmediateprofileenabling "
    "configureimmediateenable",
    "`ipactl card set-default-smdp ADDRESS` names it.": "setdefaultdpaddress setdefaultsmdp defaultsmdp smdp "
    "smdpaddress",
    "`ipactl card activate-ipae` does it.": "ipaeactivation activateipae",
    _BUDGET: "traffic usage data bytes",
    _CONFIG: "configuration settings get set",
    _MODEM: "modems port ports device devices mmcli signal registration network",
    _NO_NICKNAME: "nickname setnickname",
    _SERVICE: "start stop restart reload reboot",
}
TERMS: Final[Mapping[str, str]] = {word: told for told, words in _MEANT.items() for word in words.split()}
"""What to do instead, by the word that was guessed."""
