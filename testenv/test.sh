#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs all tests and says which were skipped and why. As root none may be,
# unless its reason names something that is not part of this repository.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -v -count=1 "$@" ./... >"$log" 2>&1
code=$?
if [ $code -ne 0 ]; then
	cat "$log"
fi
grep -E '^(ok|FAIL|\?)[[:space:]]' "$log"
skipped=$(grep -A1 -E '^[[:space:]]*--- SKIP' "$log" | grep -v '^--$')
if [ -n "$skipped" ]; then
	printf '\nskipped, with the reason below each:\n%s\n' "$skipped"
	if [ "$(id -u)" = 0 ] && printf '%s\n' "$skipped" | grep -v -e '--- SKIP' | grep -qv 'not part of this repository'; then
		echo "as root no test may be skipped"
		code=1
	fi
else
	printf '\nno test was skipped\n'
fi
passed=$(grep -c -E '^[[:space:]]*--- PASS' "$log")
failed=$(grep -c -E '^[[:space:]]*--- FAIL' "$log")
echo "$passed passed, $failed failed"
exit $code
