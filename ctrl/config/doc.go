// SPDX-License-Identifier: Apache-2.0

// Package config reads the gateway's configuration: what it is called, which
// wires it holds, and what befalls packets that the policy does not judge. Who
// may reach whom is not here but in the policy (package ctrl/policy).
//
// configs/bulkhead.toml shows every key with its default. Reading is strict:
// an unknown key, a value out of range, a wish that this version cannot fulfil
// or wires that contradict each other are refused, all at once, each with its
// place in the file; and a file that cannot be read is an error, never an
// empty one.
package config
