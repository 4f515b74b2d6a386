// SPDX-License-Identifier: Apache-2.0

package packet

// Outcome says what the parser made of a frame. Every frame has exactly one.
// The zero value is a drop, so that a forgotten assignment never passes a
// frame. Outcomes are numbered without gaps; event.Reason begins with the same
// numbers and names, so that one converts to the other by a type conversion.
type Outcome uint8

// The outcomes. The first group is judged by the flow table and the policy,
// the second is link control, all the others are frames that are not what
// they ought to be, or that could hide an IP packet from the policy.
const (
	Unparsed Outcome = iota // never parsed; the zero value

	IP        // an IP packet, or the first fragment of one, whose flow key is complete
	Fragment  // a later fragment: no ports, it follows its first fragment
	ICMPError // an ICMP error; Info.Quote holds the packet that it quotes

	ARP   // ARP and RARP
	ND    // IPv6 neighbour discovery, RFC 4861, with hop limit 255
	STP   // spanning tree, IEEE 802.1D, BPDU version 0
	RSTP  // rapid spanning tree, BPDU version 2
	MSTP  // multiple spanning tree, BPDU version 3 and later
	PVST  // Cisco PVST+: BPDUs in SNAP, OUI 00000c, protocol 010b
	Slow  // slow protocols (LACP, marker, OAM), EtherType 8809
	LLDP  // EtherType 88cc
	CDP   // Cisco discovery, SNAP OUI 00000c, protocol 2000
	UDLD  // Cisco unidirectional link detection, SNAP OUI 00000c, protocol 0111
	EAPOL // IEEE 802.1X, EtherType 888e
	PTP   // IEEE 1588 over Ethernet, EtherType 88f7
	ISIS  // IS-IS over LLC fe:fe:03
	CFM   // connectivity fault management, EtherType 8902

	Truncated       // the frame ends inside its link header
	VLANDepth       // more than two VLAN tags
	MACsec          // EtherType 88e5: what is inside cannot be seen
	MPLS            // EtherType 8847 and 8848
	PPPoE           // EtherType 8863 and 8864
	PBB             // provider backbone bridging, EtherType 88e7
	NSH             // network service header, EtherType 894f
	LLC             // an LLC or SNAP header that is none of the above
	EtherType       // an EtherType that is none of the above
	IPv4Header      // version, a length or an option is wrong, an authentication header included
	IPv4Checksum    // the header checksum is wrong
	IPv4SourceRoute // loose or strict source route, RFC 7126
	IPv6Header      // version or payload length is wrong
	IPv6Chain       // extension headers: too many or too long, cut short, or hop-by-hop not first
	IPv6Routing     // routing header type 0, RFC 5095, or one with segments left: the destination is not the last
	IPv6Fragments   // more than one fragment header
	IPv6Jumbogram   // payload length 0 and a hop-by-hop header, RFC 2675
	FragmentTiny    // a first fragment without its whole transport header, or a later one that overwrites it, RFC 1858
	FragmentLong    // a fragment whose datagram would be over 65,535 bytes
	NDInvalid       // neighbour discovery with another hop limit than 255, a code, or a fragment header, RFC 6980
	BadAddress      // a source that no host can have: multicast, broadcast, class E; loopback or IPv4-mapped on either side
	Land            // source equals destination (BFD echo, RFC 5881, is not counted here)
	TCPHeader       // cut short, or a data offset that is wrong
	TCPFlags        // flags that no TCP sends: none of SYN, RST and ACK, SYN with FIN or RST, FIN without ACK or with RST ...
	UDPHeader       // cut short, or a length that is wrong
	SCTPHeader      // cut short
	ICMPHeader      // cut short; an error in fragments, or that quotes nothing readable, or a packet not sent by whom it is for

	NumOutcomes // how many outcomes there are
)

// outcomeTable says about each outcome what a person has to know. passes marks
// link control, which is forwarded unless the configuration says otherwise.
var outcomeTable = [NumOutcomes]struct {
	name   string
	passes bool
	text   string
}{
	Unparsed: {"unparsed", false, "The frame was never parsed."},

	IP:        {"ip", false, "An IP packet, or the first fragment of one; flow table and policy judge it."},
	Fragment:  {"fragment", false, "A later fragment of an IP packet; it has the verdict of its first fragment."},
	ICMPError: {"icmp_error", false, "An ICMP error; it has the verdict of the flow whose packet it quotes."},

	ARP:   {"arp", true, "ARP or RARP."},
	ND:    {"nd", true, "IPv6 neighbour discovery (RFC 4861)."},
	STP:   {"stp", true, "Spanning tree (IEEE 802.1D)."},
	RSTP:  {"rstp", true, "Rapid spanning tree."},
	MSTP:  {"mstp", true, "Multiple spanning tree, or a later version of the protocol."},
	PVST:  {"pvst", true, "Cisco per-VLAN spanning tree."},
	Slow:  {"slow", true, "Slow protocols: LACP, marker, OAM."},
	LLDP:  {"lldp", true, "Link layer discovery (IEEE 802.1AB)."},
	CDP:   {"cdp", true, "Cisco discovery protocol."},
	UDLD:  {"udld", true, "Cisco unidirectional link detection."},
	EAPOL: {"eapol", true, "Port authentication (IEEE 802.1X)."},
	PTP:   {"ptp", true, "Precision time (IEEE 1588) over Ethernet."},
	ISIS:  {"isis", true, "IS-IS routing."},
	CFM:   {"cfm", true, "Connectivity fault management (IEEE 802.1ag)."},

	Truncated:       {"truncated", false, "The frame ends inside its link header."},
	VLANDepth:       {"vlan_depth", false, "The frame has more than two VLAN tags."},
	MACsec:          {"macsec", false, "MACsec: what is inside cannot be judged."},
	MPLS:            {"mpls", false, "MPLS: what is inside is not judged."},
	PPPoE:           {"pppoe", false, "PPPoE: what is inside is not judged."},
	PBB:             {"pbb", false, "Provider backbone bridging: what is inside is not judged."},
	NSH:             {"nsh", false, "A network service header: what is inside is not judged."},
	LLC:             {"llc", false, "An LLC or SNAP header that is not link control."},
	EtherType:       {"ethertype", false, "An EtherType that is not known."},
	IPv4Header:      {"ipv4_header", false, "An IPv4 header whose version, lengths or options are wrong."},
	IPv4Checksum:    {"ipv4_checksum", false, "An IPv4 header whose checksum is wrong."},
	IPv4SourceRoute: {"ipv4_source_route", false, "An IPv4 packet with a loose or strict source route (RFC 7126)."},
	IPv6Header:      {"ipv6_header", false, "An IPv6 header whose version or payload length is wrong."},
	IPv6Chain:       {"ipv6_chain", false, "IPv6 extension headers that are too many, cut short or out of order."},
	IPv6Routing:     {"ipv6_routing", false, "An IPv6 routing header of type 0 (RFC 5095), or one with hosts still to visit."},
	IPv6Fragments:   {"ipv6_fragments", false, "More than one IPv6 fragment header."},
	IPv6Jumbogram:   {"ipv6_jumbogram", false, "An IPv6 jumbogram (RFC 2675)."},
	FragmentTiny:    {"fragment_tiny", false, "Fragments that hide or overwrite the transport header (RFC 1858, RFC 7112)."},
	FragmentLong:    {"fragment_long", false, "A fragment of a datagram of more than 65,535 bytes."},
	NDInvalid:       {"nd_invalid", false, "Neighbour discovery that came through a router or in fragments (RFC 4861, RFC 6980)."},
	BadAddress:      {"bad_address", false, "An address that no packet on a wire can have there: multicast source, loopback, class E."},
	Land:            {"land", false, "A packet whose source is its destination."},
	TCPHeader:       {"tcp_header", false, "A TCP header that is cut short or has a wrong length."},
	TCPFlags:        {"tcp_flags", false, "TCP flags that no TCP sends together."},
	UDPHeader:       {"udp_header", false, "A UDP header that is cut short or has a wrong length."},
	SCTPHeader:      {"sctp_header", false, "An SCTP header that is cut short."},
	ICMPHeader:      {"icmp_header", false, "An ICMP message that is cut short, or an error that quotes nothing it can be about."},
}

// String is the outcome's name, as counters, logs and the configuration have
// it. It never changes its meaning.
func (o Outcome) String() string {
	if o < NumOutcomes {
		return outcomeTable[o].name
	}
	return "unknown"
}

// Describe is a sentence that explains the outcome to a person.
func (o Outcome) Describe() string {
	if o < NumOutcomes {
		return outcomeTable[o].text
	}
	return "The outcome is not known."
}

// PassesByDefault says whether frames with this outcome are forwarded without
// being judged, unless the configuration says otherwise: link control alone.
func (o Outcome) PassesByDefault() bool {
	return o < NumOutcomes && outcomeTable[o].passes
}

// IsIP says whether flow table and policy judge the frame.
func (o Outcome) IsIP() bool {
	return o >= IP && o <= ICMPError
}
