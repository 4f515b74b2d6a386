// SPDX-License-Identifier: Apache-2.0

// Package testenv is the laboratory that the end-to-end tests and the demo stand on:
// network namespaces and veth wires, frames built and judged bit for bit, ordinary traffic,
// floods, and the gateway's process in the middle.
//
// # From the cable up
//
//	netns.go     a namespace: run a function, open a socket or start a child in it
//	link.go      what is in a namespace: veth pairs, bridges, addresses, offloads
//	lab.go       hosts on both sides of a gateway; the topology is drawn there
//	frames.go    Frame(Ether{}, Tag(10), IPv4{}, UDP{Dst: 53}): layers to bytes
//	rawsock.go   frames in and out of an interface, as they are on the wire
//	oracle.go    lost, leaked, duplicated, reordered or too old: counted by class
//	probe.go     open, refused, rejected, silent: what a client sees of a port
//	flood.go     millions of frames a second, made by a BPF program; sink.go counts them
//	process.go   a child that is always ended; gateway.go starts the gateway as one
//
// # Nothing is left behind
//
// Everything that is made has an owner: sockets, servers and children belong to their
// namespace, namespaces to their lab, and what is left to the process. Closing an owner closes
// what it owns, the newest first. [Run] (for a main program) and [Main] (for TestMain) close all
// at the end, on a panic and on a signal. Against kill -9, a namespace without a name vanishes with
// the last process in it, children are killed by the kernel when their starter dies, and what has
// a name begins with bh- and the maker's pid, so that [Sweep] finds it later.
//
// Nothing here needs package testing; the functions that end in ForTest take a [TB].
// The package needs Linux 5.18 (live frames for the flood; the rest works with 5.7) and, beyond building frames,
// the capabilities that [Privileged] names.
package testenv
