// SPDX-License-Identifier: Apache-2.0

// Package dataplane is the packet's path: a gateway, its wires, and the
// workers that carry frames from one port of a wire to the other, if the
// policy lets them.
//
//	gateway.go   Open, Close: from a Config to wires that forward, and back
//	plan.go      what interfaces, cells and workers a Config comes to
//	iface.go     an interface: its settings, its ports
//	cell.go      the wires that share interfaces, and their workers
//	publish.go   a policy comes into force
//	worker.go    a worker's loop; the steps are in receive.go, judge.go and
//	             transmit.go, in the order that a packet meets them
//	monitor.go   the state of the wires, once in half a second
//	status.go    what all this looks like from outside
//
// An interface's queue i is served by worker i of its cell, which has one
// packet memory shared by the sockets of all interfaces of the cell: a frame
// moves from one port to the other as a descriptor and is never copied.
package dataplane
