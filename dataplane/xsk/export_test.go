// SPDX-License-Identifier: Apache-2.0

package xsk

// PutUnchecked puts one descriptor on the TX ring as it is, past Send's checks.
func (s *Socket) PutUnchecked(d Desc) {
	s.tx.descs[s.tx.next&s.tx.mask] = d
	s.tx.submit(1)
}
