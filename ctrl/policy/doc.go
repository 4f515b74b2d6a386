// SPDX-License-Identifier: Apache-2.0

// Package policy turns the file in which people say who may reach whom into
// the program that the classifier answers from.
//
//	file --tomlfile--> tree --read--> document --check--> document without
//	contradictions --resolve--> Policy: a classifier.Program, and beside each
//	of its rules what a person needs to know about it
//
// A file looks like this:
//
//	default = "deny"
//
//	[workload.shop-1]
//	addresses = ["10.0.1.5", "2001:db8:1::/64"]
//	labels = { tier = "web", env = "prod" }
//
//	[service.https]
//	tcp = [443, "8440-8449"]
//
//	[[rule]]
//	name = "customers-to-shop"
//	from = "any"
//	to = "tier=web and env=prod"
//	services = ["https"]
//	action = "allow"
//
// What is easily got wrong, and how it is here:
//
//   - A rule is about who begins. Replies, and the ICMP errors that a flow
//     causes, pass with the flow, and no rule can name them.
//   - "any" in from and to is every address. Every other selector means
//     workloads only: not (tier=web) is not the rest of the world.
//   - tier!=web and tier not in (web) mean workloads without a label tier too.
//   - No port or protocol allows a tunnel, nor does the service "any": only
//     tunnel = [...] does. Denying them denies the tunnel.
//   - Two workloads never share an address, so that an address has one name.
//
// Rules are tried in the order of the file and the first that matches decides.
// Nothing in a file is passed over: a key, name or combination that this
// version does not know, or that could never match a packet, is refused, with
// its place, together with all else that is wrong. The result depends on the
// text alone.
package policy
