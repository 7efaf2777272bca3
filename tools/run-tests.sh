#!/bin/sh
# All tests, side by side: scenarios mostly wait for real time to pass, while everything else computes. Each part has its
# log in .test/; the log of a part that failed is shown at the end.
#
#   sh tools/run-tests.sh [BIN]      BIN: where pytest and the others are (default: .venv/bin)
set -u
bin=${1:-.venv/bin}
logs=.test
rm -rf "$logs"
mkdir -p "$logs"

# Some hundred processes of the agent, of the lab and of ipactl are started. Without kept byte-code each of them compiles
# its modules anew, which is a third of the time of a scenario; and the parts would all compile the same at the start.
unset PYTHONDONTWRITEBYTECODE
"$bin/python" -m compileall -q ipad_agent tests tools

part() { # NAME COMMAND...
    name=$1
    shift
    began_s=$(date +%s)
    "$@" >"$logs/$name.log" 2>&1
    status=$?
    echo "$status" >"$logs/$name.status"
    [ "$status" = 0 ] && word=ok || word="FAILED ($status)"
    echo "$name: $word in $(($(date +%s) - began_s)) s: $(tail -n 1 "$logs/$name.log")"
}
style() { "$bin/ruff" check . && "$bin/ruff" format --check . && "$bin/mypy"; }

# Tests that start programs and wait for them.
programs="tests/cli tests/doctor tests/documents tests/installation tests/openwrt tests/system_packages tests/yocto"

# Two cores are used to the end when parts that compute are of about one size. Scenarios wait: four at a time, each
# handed out when another ends. The last part takes whatever has no part of its own, so that no test is left out.
part style style &
part scenarios "$bin/pytest" -q -n 4 --maxschedchunk 1 tests/scenarios &
part torture "$bin/pytest" -q tests/torture tests/fuzz &
part lab "$bin/pytest" -q tests/lab tests/codec &
part whole "$bin/pytest" -q tests/whole &
# shellcheck disable=SC2086  # a list of folders
part programs "$bin/pytest" -q $programs &
# shellcheck disable=SC2086,SC2046  # lists of folders
part others "$bin/pytest" -q --ignore tests/scenarios --ignore tests/torture --ignore tests/fuzz --ignore tests/lab \
    --ignore tests/whole --ignore tests/codec $(printf -- '--ignore %s ' $programs) &
# Where Mbed TLS 3.6 is installed (Debian 13: libmbedtls21), what needs it; elsewhere make test-cid fetches it.
cid=""
if "$bin/python" -c "import ctypes; ctypes.CDLL('libmbedtls.so.21')" 2>/dev/null; then
    cid=cid
    part cid make -s test-cid BIN="$bin" &
fi
wait

failed=0
for name in style scenarios torture lab whole programs others $cid; do
    [ "$(cat "$logs/$name.status" 2>/dev/null)" = 0 ] && continue
    failed=1
    echo "--- $name ---"
    cat "$logs/$name.log"
done
exit "$failed"
