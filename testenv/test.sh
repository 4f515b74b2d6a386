#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs all tests and says which were skipped and why. As root none may be,
# unless its reason names something that is not part of this repository, or a
# feature with the first kernel that has it.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -v -count=1 "$@" ./... >"$log" 2>&1
code=$?
if [ $code -ne 0 ]; then
	cat "$log"
fi
grep -E '^(ok|FAIL|\?)[[:space:]]' "$log"
# go prints a test's reason before the line that says that it was skipped
skipped=$(awk '/--- SKIP/ {print $0 " -- " last} {last = $0}' "$log")
if [ -n "$skipped" ]; then
	printf '\nskipped, and why:\n%s\n' "$skipped"
	if [ "$(id -u)" = 0 ] && printf '%s\n' "$skipped" | grep -qv -e 'not part of this repository' -e 'Linux [0-9]'; then
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
