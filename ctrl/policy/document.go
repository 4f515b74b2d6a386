// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"

	"bulkhead/classifier"
	"bulkhead/ctrl/tomlfile"
)

// document is a policy as it is written: names are not yet looked up.
type document struct {
	file      *tomlfile.Document
	fallback  Action // the key default
	workloads []workload
	services  map[string]service
	rules     []rule
}

// workload is a [workload.NAME].
type workload struct {
	name      string
	pos       tomlfile.Pos
	addresses []address
	labels    map[string]string
}

// address is an address or prefix of a workload, and where it is written.
type address struct {
	prefix netip.Prefix
	pos    tomlfile.Pos
}

// service is a [service.NAME] in the words of the classifier.
type service struct {
	allow []classifier.Service
	// deny is what a rule that denies or rejects the service matches beside
	// allow. A service never names a tunnel by the way, so that none is allowed
	// unawares; but who denies all of UDP means VXLAN as well. A tunnel is one
	// thing whatever its ports are, so that denying one of them, or from some
	// source ports only, denies all of it: in doubt, deny.
	deny []classifier.Service
}

// rule is a [[rule]]. What is missing or wrong in it has been reported, and
// then it is nil or zero here.
type rule struct {
	name     string
	pos      tomlfile.Pos
	from, to *tomlfile.Value
	services []tomlfile.Value
	wires    []tomlfile.Value
	action   Action
}
