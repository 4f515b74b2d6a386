// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
)

// The standard library makes a socket on the thread that asks for it, so asking inside Do gives one of the
// namespace; what is done with it later may run on any thread. Addresses must be literal: a look-up of
// names would run on other threads.

// Listen is net.Listen inside the namespace, as in Listen("tcp", ":80"). It is closed with the namespace.
func (n *NS) Listen(network, address string) (net.Listener, error) {
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	if err == nil {
		_, err = n.owner.own(func() error { return ignore(l.Close(), net.ErrClosed) })
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	return l, nil
}

// ListenPacket is net.ListenPacket inside the namespace. It is closed with the namespace.
func (n *NS) ListenPacket(network, address string) (net.PacketConn, error) {
	var c net.PacketConn
	err := n.Do(func() (err error) {
		c, err = net.ListenPacket(network, address)
		return err
	})
	if err == nil {
		_, err = n.owner.own(func() error { return ignore(c.Close(), net.ErrClosed) })
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	return c, nil
}

// Dial is net.Dialer.DialContext inside the namespace. The caller closes the connection.
func (n *NS) Dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	var c net.Conn
	err := n.Do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, to.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	return c, nil
}

// HTTPClient is an HTTP client whose connections, one for each request, begin in the namespace.
// URLs name addresses, as in http://198.18.0.2:80/.
func (n *NS) HTTPClient() *http.Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, fmt.Errorf("%s: dial: %w", n, err)
		}
		return n.Dial(ctx, network, to)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true}}
}
