// SPDX-License-Identifier: Apache-2.0

package xsk

// Detached makes a UMEM without sockets, and so without the kernel: packet
// memory for those who bring their own ends of it, above all tests and
// benchmarks of what stands on this package.
func Detached(c Config) (*Umem, error) {
	c = c.withDefaults(1)
	if err := c.check(1); err != nil {
		return nil, err
	}
	mapping, mem, err := mapPacketMemory(int(c.Frames) * int(c.FrameSize))
	if err != nil {
		return nil, err
	}
	u := newUmem(c, 1, mem)
	u.mapping, u.mode = mapping, Copy
	return u, nil
}
