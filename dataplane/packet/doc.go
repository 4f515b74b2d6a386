// SPDX-License-Identifier: Apache-2.0

// Package packet reads a frame and says what a decision needs to know of it:
// its outcome (what kind of frame it is, or what is wrong with it), addresses,
// ports, and the key of its flow. It is the second step of a packet's path and
// runs once for every packet.
//
// Parse never fails and never reads past the frame. The files stand in the
// order in which a frame is read: ethernet, llc, ipv4, ipv6, fragment,
// transport, tunnel, icmp; key names the flow, and answer builds what a rejected
// packet gets back.
//
// Three rules decide the doubtful cases:
//
//   - The outcome is the first fault in the order of the headers. What was
//     understood is filled in all the same, for people to read.
//   - What could hide an IP packet from the policy is a fault, however
//     harmless it looks, because another host may read it as IP.
//   - The outermost IP header is the one that is judged. A tunnel is named
//     (Info.Tunnel), never opened.
//
// Work for each frame is bounded by MaxTags, MaxHeaders and MaxChain. The
// package allocates nothing, keeps no state, and imports nothing of ours; all
// of it may be called concurrently, each caller with an Info of its own.
package packet

// Bounds on what Parse reads. Whatever else judges frames by the same policy
// must have the same ones.
const (
	MaxFrame   = 65535 // bytes of a frame that are looked at: offsets are 16 bits wide
	MaxTags    = 2     // VLAN tags; one more is VLANDepth
	MaxHeaders = 8     // extension headers of one packet; one more is IPv6Chain
	MaxChain   = 512   // bytes of extension headers in one packet; more is IPv6Chain
)

// IP protocols that have a meaning here; every other one is opaque.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Parse reads a frame and fills every field of info, whatever was in it before.
// frame begins with the destination MAC address and has no frame check
// sequence; of a frame longer than MaxFrame only the beginning is read, so that
// an IP packet that does not end there is one with a wrong length.
func Parse(frame []byte, info *Info) {
	*info = Info{}
	if len(frame) > MaxFrame {
		frame = frame[:MaxFrame]
	}
	info.Outcome = parseEthernet(frame, info)
}
