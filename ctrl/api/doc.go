// SPDX-License-Identifier: Apache-2.0

// Package api is the gateway's control socket: HTTP and JSON over a unix
// socket, its server and its client.
//
//	GET  /v1/status            what the gateway is and how its wires do
//	GET  /v1/rules             the rules in force and how often each was met
//	POST /v1/policy?file=NAME  brings the policy in the body (TOML) into force
//
// The types in contract.go are what travels; their JSON names do not change.
// An answer that is not 2xx is a problem document of RFC 9457, with the
// problems of a refused policy in its member "problems".
//
// # Who may do what
//
// The socket is 0660 in a directory that others cannot enter, so root, the
// daemon's own user and the members of the socket's group can connect, and who
// can connect may do everything. The kernel's word on the peer (SO_PEERCRED)
// is logged with every change, the refused ones too.
//
// # What a client can cost
//
// Every wait has an end (see server.go), at most 64 connections are open, and
// a newcomer takes the place of the oldest of the user who has most of them.
// A policy is at most 16 MiB, all that are being received together 32 MiB.
//
// The package knows the gateway only by the interface Gateway, and nothing of
// the data plane.
package api
