// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

// Sizes of link headers.
const (
	ethernetSize = 14 // addresses and EtherType
	tagSize      = 4  // tag control and the EtherType behind it, IEEE 802.1Q
	arpSize      = 28 // ARP for Ethernet and IPv4, RFC 826
)

// EtherTypes with a meaning here. Below etherTypeMin the field is a length.
const (
	etherTypeMin  = 0x0600
	etherIPv4     = 0x0800
	etherARP      = 0x0806
	etherRARP     = 0x8035
	etherCTag     = 0x8100 // IEEE 802.1Q
	etherIPv6     = 0x86dd
	etherSlow     = 0x8809
	etherMPLS     = 0x8847
	etherMPLSUp   = 0x8848 // upstream-assigned label, RFC 5332
	etherPPPoED   = 0x8863 // discovery
	etherPPPoES   = 0x8864 // session
	etherEAPOL    = 0x888e
	etherSTag     = 0x88a8 // IEEE 802.1ad
	etherLLDP     = 0x88cc
	etherMACsec   = 0x88e5
	etherPBB      = 0x88e7
	etherPTP      = 0x88f7
	etherCFM      = 0x8902
	etherNSH      = 0x894f
	etherQinQ9100 = 0x9100 // QinQ before 802.1ad
)

// parseEthernet reads the addresses, the tags, and what they lead to.
func parseEthernet(frame []byte, info *Info) Outcome {
	if len(frame) < ethernetSize {
		return Truncated
	}
	etherType := binary.BigEndian.Uint16(frame[12:])
	switch etherType {
	case etherIPv4: // most frames by far: no need to look for tags
		info.EtherType = etherIPv4
		return parseIPv4(frame[ethernetSize:], ethernetSize, info)
	case etherCTag, etherSTag, etherQinQ9100:
		return parseTags(frame, etherType, info)
	}
	return parsePayload(frame, ethernetSize, etherType, info)
}

func isTag(etherType uint16) bool {
	return etherType == etherCTag || etherType == etherSTag || etherType == etherQinQ9100
}

// parseTags reads up to MaxTags tags. VID 0 marks priority, not a VLAN: hosts
// without VLAN support accept any number of such tags (CVE-2021-27853), so
// policy and flow see the frame as if those were not there.
func parseTags(frame []byte, etherType uint16, info *Info) Outcome {
	off, vlans := ethernetSize, 0
	for ; isTag(etherType); off += tagSize {
		if info.Tags == MaxTags {
			info.Tags, info.EtherType = MaxTags+1, etherType
			return VLANDepth
		}
		if len(frame) < off+tagSize {
			return Truncated
		}
		vid := binary.BigEndian.Uint16(frame[off:]) & 0x0fff
		if info.Tags == 0 {
			info.Tag = vid
		}
		if vid != 0 {
			info.VLAN[vlans&1] = vid
			vlans++
		}
		info.Tags++
		etherType = binary.BigEndian.Uint16(frame[off+2:])
	}
	return parsePayload(frame, off, etherType, info)
}

// parsePayload goes on behind the link header: off is the offset of the
// payload, and etherType says what that is, or how long.
func parsePayload(frame []byte, off int, etherType uint16, info *Info) Outcome {
	if etherType < etherTypeMin {
		return parseLLC(frame, off, int(etherType), info)
	}
	info.EtherType = etherType
	switch etherType {
	case etherIPv4:
		return parseIPv4(frame[off:], off, info)
	case etherIPv6:
		return parseIPv6(frame[off:], off, info)
	case etherARP, etherRARP:
		if len(frame)-off < arpSize {
			return Truncated
		}
		return ARP
	}
	return linkOutcome(etherType)
}

// linkOutcome names the EtherTypes that are not opened: link control, and
// what could carry IP in a form that is not judged.
func linkOutcome(etherType uint16) Outcome {
	switch etherType {
	case etherSlow:
		return Slow
	case etherLLDP:
		return LLDP
	case etherEAPOL:
		return EAPOL
	case etherPTP:
		return PTP
	case etherCFM:
		return CFM
	case etherMACsec:
		return MACsec
	case etherMPLS, etherMPLSUp:
		return MPLS
	case etherPPPoED, etherPPPoES:
		return PPPoE
	case etherPBB:
		return PBB
	case etherNSH:
		return NSH
	}
	return EtherType
}
