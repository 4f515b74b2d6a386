// SPDX-License-Identifier: Apache-2.0

// Package bench measures whole gateways on veth, each beside what a user would
// pick instead, in one run: the drivers are its benchmarks, results are in
// results/. What a package costs by itself is measured beside its code.
//
//	go test -run '^$' -bench Wire -count 5 ./bench
//
// As root. Floods come out of the kernel on the first processor, the gateway
// runs on the last. Rounds of -count alternate over the gateways; take the
// medians and compare them within a run, since machines are noisy.
package bench
