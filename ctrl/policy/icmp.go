// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strconv"
	"strings"

	"bulkhead/classifier"
	"bulkhead/ctrl/tomlfile"
	"bulkhead/dataplane/packet"
)

// icmpFamily is one of the two ICMPs: what its types are called (IANA), and
// which of them no rule can be about.
type icmpFamily struct {
	proto     uint8
	names     map[string]uint8
	requests  []uint8 // begin a flow, whatever their code
	replies   []uint8 // belong to the flow of their request
	errors    []uint8 // belong to the flow that they quote
	discovery []uint8 // never leave their link
}

const (
	echoRequest4 = 8
	echoRequest6 = 128
)

// The lists agree with package packet's; a test sends each type through its
// parser.
var (
	icmp4 = icmpFamily{
		proto: packet.ProtoICMP,
		names: map[string]uint8{
			"echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5,
			"echo-request": echoRequest4, "router-advertisement": 9, "router-solicitation": 10,
			"time-exceeded": 11, "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14,
			"information-request": 15, "information-reply": 16, "address-mask-request": 17,
			"address-mask-reply": 18, "extended-echo-request": 42, "extended-echo-reply": 43,
		},
		requests: []uint8{8, 13, 15, 17, 42},
		replies:  []uint8{0, 14, 16, 18, 43},
		errors:   []uint8{3, 4, 5, 11, 12},
	}
	icmp6 = icmpFamily{
		proto: packet.ProtoICMPv6,
		names: map[string]uint8{
			"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
			"echo-request": echoRequest6, "echo-reply": 129, "mld-query": 130, "mld-report": 131,
			"mld-done": 132, "router-solicitation": 133, "router-advertisement": 134,
			"neighbor-solicitation": 135, "neighbor-advertisement": 136, "redirect": 137,
			"router-renumbering": 138, "node-information-query": 139, "node-information-reply": 140,
			"mldv2-report": 143, "extended-echo-request": 160, "extended-echo-reply": 161,
		},
		requests:  []uint8{128, 139, 160},
		replies:   []uint8{129, 140, 161},
		errors:    []uint8{1, 2, 3, 4},
		discovery: []uint8{133, 134, 135, 136, 137},
	}
)

// icmp reads true, for all types, or a list of them.
func (s *serviceReader) icmp(family *icmpFamily, v *tomlfile.Value) {
	if v.Kind == tomlfile.KindBoolean && v.Text == "true" {
		s.others = append(s.others, classifier.Service{Proto: family.proto, AnyICMP: true})
		return
	}
	items, _ := s.listOrTrue(v)
	for i := range items {
		if service, ok := s.icmpType(family, &items[i]); ok {
			s.others = append(s.others, service)
		}
	}
}

// icmpType reads "echo-request", 9 or "9/16", which is type and code.
func (s *serviceReader) icmpType(family *icmpFamily, v *tomlfile.Value) (classifier.Service, bool) {
	service := classifier.Service{Proto: family.proto, AnyCode: true}
	if v.Kind == tomlfile.KindInteger {
		n, ok := s.doc.Integer(v, 0, 255)
		service.Type = uint8(n)
		return service, ok && s.hasRules(family, v, &service)
	}
	text, ok := s.doc.String(v)
	if !ok {
		return service, false
	}
	first, second, hasCode := strings.Cut(text, "/")
	icmpType, errType := strconv.ParseUint(first, 10, 8)
	code, errCode := strconv.ParseUint(second, 10, 8)
	service.Type = uint8(icmpType)
	if named, ok := family.names[first]; ok {
		service.Type, errType = named, nil
	}
	if hasCode {
		service.Code, service.AnyCode = uint8(code), false
	}
	if errType != nil || hasCode && errCode != nil {
		s.doc.Addf(v.Pos, "%s: type %s is not known: write echo-request, a number from 0 to 255, or \"TYPE/CODE\"", v.Name, tomlfile.Quote(text))
		return service, false
	}
	return service, s.hasRules(family, v, &service)
}

// hasRules refuses a type or code that no rule is ever asked about.
func (s *serviceReader) hasRules(family *icmpFamily, v *tomlfile.Value, service *classifier.Service) bool {
	why := ""
	switch t := service.Type; {
	case slices.Contains(family.replies, t):
		why = "is a reply: it passes with its request"
	case slices.Contains(family.errors, t):
		why = "is an error: it passes with the flow that it is about"
	case slices.Contains(family.discovery, t):
		why = "is neighbour discovery: the key nd under [exceptions] of the gateway's configuration decides on it"
	case slices.Contains(family.requests, t) && service.Code != 0:
		why = "is a request: its code is not looked at, leave it out"
	default:
		return true
	}
	s.doc.Addf(v.Pos, "%s: type %s %s", v.Name, tomlfile.Quote(v.Text), why)
	return false
}
