// SPDX-License-Identifier: Apache-2.0

package xdp

// The object is committed, so that a user needs no clang. clang 14 made it;
// .ci/run makes it again with the same version and compares.
//go:generate go tool bpf2go -go-package xdp -output-stem bulkhead -target bpfel bulkhead ./bpf/bulkhead.c -- -O2 -mcpu=v3 -Wall -Werror
