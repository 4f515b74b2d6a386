// SPDX-License-Identifier: Apache-2.0

// Package e2e has no code of its own: its tests run the whole gateway, the
// binary as it is shipped, between hosts in network namespaces, and judge it by
// what arrives at the far side.
//
//	transparent_test.go  ordinary traffic over an allow-all wire
//	frames_test.go       frames of every kind and size, bit for bit
//	policy_test.go       who reaches whom; replies, and what only looks like one
//	reject_test.go       what is answered, and how often
//	protocols_test.go    tunnels, link control, every protocol and EtherType, [exceptions]
//	bypass_test.go       no way of writing a packet gets it past the policy to a real host
//	fragments_test.go    datagrams in fragments: whole, broken and forged
//	icmp_test.go         ICMP errors, and whose they are
//	vlan_test.go         wires between VLANs
//	reload_test.go       policies that change under traffic
//	start_test.go        from the first attach on, and what keeps a gateway from starting
//	stop_test.go         what is left behind after a signal, and after a crash
//	hang_test.go         a daemon that is stopped and goes on
//	link_test.go         ports that lose their carrier, program or interface
//	queues_test.go       queues that come, and queues without a socket
//	multiqueue_test.go   conversations whose replies come by another queue or wire
//	privileges_test.go   what the process may do
//	commands_test.go     the verbs that talk to a running gateway
//	counters_test.go     the counters add up, and agree with what the hosts saw
//
// gate_test.go starts gateways, crossing_test.go sends frames through them and
// judges what comes out; kernel_test.go and netdev_test.go look into the kernel.
//
// Nothing here waits for a time to pass where it can wait for something to
// happen: that a frame is dropped is known from a marker, which is sent after
// it and passes by any policy.
//
// BULKHEAD_LONG=1 makes downloads, sweeps and reloads as long as a release
// wants them. All tests need root; without it they are skipped.
package e2e
