#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the kernel program again and compares the object with the committed
# one. Only the compiler version that made it makes the same bytes.
set -eu
want=$1
have=$(clang --version 2>/dev/null | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
if [ "$have" != "$want" ]; then
	echo "not compared: the object was made by clang $want, here is ${have:-none}"
	exit 0
fi
dir=dataplane/xdp
old=$(mktemp -d)
trap 'cp "$old"/* "$dir"/; rm -rf "$old"' EXIT
cp "$dir"/bulkhead_bpfel.go "$dir"/bulkhead_bpfel.o "$old"/
go generate ./$dir
for f in bulkhead_bpfel.go bulkhead_bpfel.o; do
	cmp "$old/$f" "$dir/$f" || { echo "$dir/$f is stale: run 'make generate' and commit"; exit 1; }
done
echo "the committed kernel program is fresh"
