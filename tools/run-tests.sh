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

# The last part takes whatever has no part of its own, so that no test is left out.
part style style &
part scenarios "$bin/pytest" -q -n 3 tests/scenarios &
part torture "$bin/pytest" -q tests/torture tests/fuzz &
part lab "$bin/pytest" -q tests/lab &
part others "$bin/pytest" -q --ignore tests/scenarios --ignore tests/torture --ignore tests/fuzz --ignore tests/lab &
wait

failed=0
for name in style scenarios torture lab others; do
    [ "$(cat "$logs/$name.status" 2>/dev/null)" = 0 ] && continue
    failed=1
    echo "--- $name ---"
    cat "$logs/$name.log"
done
exit "$failed"
