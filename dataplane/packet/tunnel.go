// SPDX-License-Identifier: Apache-2.0

package packet

// tunnelOf names the tunnel that an IP protocol is.
func tunnelOf(proto uint8) Tunnel {
	switch proto {
	case 4:
		return IPIP
	case 41:
		return SixInFour
	case 47:
		return GRE
	case 97:
		return EtherIP
	case 115:
		return L2TP
	case 137:
		return MPLSInIP
	}
	return NoTunnel
}

// udpTunnelOf names the tunnel that a UDP destination port belongs to. The
// ports are those of IANA, and 8472, which Linux had before there was one.
func udpTunnelOf(port uint16) Tunnel {
	const first, last = 1701, 8472
	if port < first || port > last {
		return NoTunnel
	}
	switch port {
	case 1701:
		return L2TP
	case 2152:
		return GTP
	case 3544:
		return Teredo
	case 4789, 8472:
		return VXLAN
	case 4790:
		return VXLANGPE
	case 6080:
		return GUE
	case 6081:
		return Geneve
	case 6635:
		return MPLSInIP
	}
	return NoTunnel
}

// TunnelOf names the tunnel that packets of an IP protocol to a destination
// port open, as Parse does: for the flow of a packet that is no longer there.
func TunnelOf(proto uint8, dstPort uint16) Tunnel {
	if proto == ProtoUDP {
		return udpTunnelOf(dstPort)
	}
	return tunnelOf(proto)
}

// tunnelNames are what users call tunnels, in policies and in counters.
var tunnelNames = [NumTunnels]string{
	NoTunnel:  "none",
	IPIP:      "ipip",
	SixInFour: "6in4",
	GRE:       "gre",
	EtherIP:   "etherip",
	L2TP:      "l2tp",
	MPLSInIP:  "mpls",
	VXLAN:     "vxlan",
	VXLANGPE:  "vxlan_gpe",
	Geneve:    "geneve",
	GTP:       "gtp",
	Teredo:    "teredo",
	GUE:       "gue",
}

// String is the tunnel's name. It never changes its meaning.
func (t Tunnel) String() string {
	if t < NumTunnels {
		return tunnelNames[t]
	}
	return "unknown"
}

// TunnelByName finds a tunnel by its name; "none" is not one.
func TunnelByName(name string) (Tunnel, bool) {
	for t := NoTunnel + 1; t < NumTunnels; t++ {
		if tunnelNames[t] == name {
			return t, true
		}
	}
	return NoTunnel, false
}
