#!/bin/sh
# Proves what is said of a release: two builds of HEAD from two folders, with another umask, time zone, language and home,
# give the same wheel and source archive; each of them installs with the pinned libraries, and finds its files.
#
#   sh tools/check-release.sh      needs the network for the libraries; about three minutes
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tools=$(realpath -m "${TOOLS:-.venv-release}")
say() { echo "check-release: $*"; }
export DEB=no TOOLS="$tools"

git clone -q . "$work/first"
sh tools/build-artefacts.sh "$work/one"
git clone -q . "$work/a folder of another name"
(
    umask 077
    export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 HOME="$work/home" PYTHONHASHSEED=7
    mkdir "$HOME"
    cd "$work/a folder of another name"
    SBOM=no sh tools/build-artefacts.sh "$work/two"
)
for file in "$work"/one/*.whl "$work"/one/*.tar.gz; do
    cmp "$file" "$work/two/$(basename "$file")" || { say "two builds differ: $(basename "$file")" && exit 1; }
    say "twice the same: $(sha256sum "$file" | cut -c1-16) $(basename "$file")"
done
(cd "$work/one" && sha256sum --quiet -c SHA256SUMS) && say "SHA256SUMS is right"
"${PYTHON:-python3}" - "$work"/one/*.cdx.json packaging/lock/run-time.txt <<'PY'
import json, re, sys

sbom = json.load(open(sys.argv[1], encoding="utf-8"))
named = {(part["name"].lower().replace("_", "-"), part["version"]) for part in sbom["components"]}
pinned = set(re.findall(r"^([\w.-]+)==([^\s;]+)", open(sys.argv[2], encoding="utf-8").read(), flags=re.M))
unknown = named - {(name.lower().replace("_", "-"), version) for name, version in pinned}
assert sbom["bomFormat"] == "CycloneDX" and named and not unknown, f"in the SBOM, not in the lock file: {unknown}"
print(f"check-release: the SBOM names {len(named)} parts, each as it is pinned")
PY

for kind in whl tar.gz; do
    artefact=$(ls "$work"/one/*."$kind")
    place=$work/installed-$kind
    "${PYTHON:-python3}" -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$work/one/requirements.txt"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$artefact"
    "$place/bin/python" -m pip check >/dev/null
    cd "$work" # away from the source tree
    "$place/bin/ipad-agent" --version
    "$place/bin/ipactl" --version
    "$place/bin/python" - <<'PY'
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.packaged_files import packaged

found = load(search_path())
assert len(found.profiles) > 10 and not found.problems, found
assert "site-packages" in str(packaged("hw/modems")), packaged("hw/modems")
assert packaged("asn1/SGP32Definitions.asn").is_file()
PY
    root=$work/root-$kind
    mkdir -p "$root/usr/lib/systemd" "$root/opt/ipad/bin"
    touch "$root/usr/lib/systemd/libsystemd-shared-252.so"
    install -m 755 /bin/true "$root/opt/ipad/bin/ipad-agent"
    chmod 755 "$root" "$root/opt" "$root/opt/ipad" "$root/opt/ipad/bin"
    "$place/bin/ipad-agent" install-service --root "$root" --program /opt/ipad/bin/ipad-agent >"$work/said"
    grep -q '^ExecStart=/opt/ipad/bin/ipad-agent run' "$root/etc/systemd/system/ipad-agent.service"
    "$place/bin/ipad-agent" check-config "$root/etc/ipad-agent/config.toml"
    "$place/bin/ipad-agent" remove-service --root "$root" >"$work/said"
    [ "$(find "$root" -type f | wc -l)" = 3 ] # the two made up here, and the configuration
    cd - >/dev/null
    say "$kind: installed with the pinned libraries, finds its files, installs its service"
done
