// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

// Sizes of IEEE 802.2 headers, and the longest frame that may have one.
const (
	llcSize   = 3 // DSAP, SSAP, control
	snapSize  = 8 // LLC, OUI, protocol
	bpduSize  = 7 // LLC, protocol identifier, version, type
	nlpidSize = 4 // LLC and the ISO network layer's protocol identifier
	llcMax    = 1500
)

// LLC headers (DSAP, SSAP, control) and SNAP headers (OUI, protocol) with a
// meaning here. Others with the same SAPs, such as AB or another control
// field, are refused: hosts differ in what they make of them.
const (
	llcSNAP = 0xaaaa03
	llcBPDU = 0x424203
	llcISO  = 0xfefe03

	snapEtherType = 0x000000 // RFC 1042: an EtherType follows
	snapCDP       = 0x00000c_2000
	snapUDLD      = 0x00000c_0111
	snapPVST      = 0x00000c_010b

	nlpidISIS = 0x83 // others, such as 0xcc, 0x8e and 0x80, can carry IP (RFC 6328)
)

// Destinations of link control, which no bridge forwards (01-80-C2-00-00-0x),
// or which switches of that maker keep to themselves.
const (
	macBridgeGroup = 0x0180c2000000 // the low four bits are free
	macCisco       = 0x01000ccccccc
	macCiscoPVST   = 0x01000ccccccd
)

// parseLLC reads an IEEE 802.3 frame: off is the offset behind the length
// field. What lies behind that length is padding and is not looked at. Lengths
// from 1501 to 1535 have no meaning in IEEE 802.3.
func parseLLC(frame []byte, off, length int, info *Info) Outcome {
	if length > llcMax {
		return LLC
	}
	if length > len(frame)-off || length < llcSize {
		return Truncated
	}
	frame = frame[:off+length]
	switch uint24(frame[off:]) {
	case llcSNAP:
		return parseSNAP(frame, off, info)
	case llcBPDU:
		return parseBPDU(frame, off)
	case llcISO:
		return parseISO(frame, off)
	}
	return LLC
}

// parseSNAP reads the protocol behind an RFC 1042 header as it would be read
// behind Ethernet II: access points turn one form into the other, so the two
// must be judged alike (CVE-2021-27854). A tag in here is refused, and so is
// OUI 0000f8 (bridge tunnel, IEEE 802.1H), whose EtherTypes only some hosts
// and access points read.
func parseSNAP(frame []byte, off int, info *Info) Outcome {
	if len(frame)-off < snapSize {
		return Truncated
	}
	protocol := binary.BigEndian.Uint16(frame[off+6:])
	oui := uint24(frame[off+llcSize:])
	if oui != snapEtherType {
		return ciscoOutcome(oui<<16|uint64(protocol), destination(frame))
	}
	if protocol < etherTypeMin || isTag(protocol) {
		return LLC
	}
	return parsePayload(frame, off+snapSize, protocol, info)
}

// ciscoOutcome names Cisco's link control by SNAP header and destination.
func ciscoOutcome(snap, mac uint64) Outcome {
	switch {
	case snap == snapCDP && mac == macCisco:
		return CDP
	case snap == snapUDLD && mac == macCisco:
		return UDLD
	case snap == snapPVST && mac == macCiscoPVST:
		return PVST
	}
	return LLC
}

// parseBPDU tells the spanning tree protocols apart by their version.
func parseBPDU(frame []byte, off int) Outcome {
	if destination(frame)&^0xf != macBridgeGroup {
		return LLC
	}
	if len(frame)-off < bpduSize {
		return Truncated
	}
	protocol, version := binary.BigEndian.Uint16(frame[off+llcSize:]), frame[off+5]
	switch {
	case protocol != 0 || version == 1: // version 1 was never given out
		return LLC
	case version == 0:
		return STP
	case version == 2:
		return RSTP
	}
	return MSTP
}

// parseISO lets IS-IS through and nothing else of the ISO network layer.
func parseISO(frame []byte, off int) Outcome {
	if len(frame)-off < nlpidSize {
		return Truncated
	}
	if frame[off+llcSize] != nlpidISIS {
		return LLC
	}
	return ISIS
}

// destination is the frame's destination address, in the low 48 bits.
func destination(frame []byte) uint64 {
	return binary.BigEndian.Uint64(frame) >> 16
}

func uint24(b []byte) uint64 {
	return uint64(b[0])<<16 | uint64(b[1])<<8 | uint64(b[2])
}
