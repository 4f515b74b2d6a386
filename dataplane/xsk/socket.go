// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"errors"
	"fmt"
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// State is what the last system call told about a socket's interface. Where no
// packet goes out there is none, so call Check now and then.
type State uint8

// The states. Down heals by itself when the interface comes up; Gone needs a new
// UMEM, when the interface is there again.
const (
	Up   State = iota
	Down       // the interface is administratively down
	Gone       // the interface was deleted, or the socket unbound
)

// String gives the state as it is shown in status.
func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	case Gone:
		return "gone"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Socket is an AF_XDP socket, bound to one queue of one interface, with its four
// rings. Like its UMEM it is for one goroutine.
type Socket struct {
	umem       *Umem
	fill       fillRing
	rx         rxRing
	tx         txRing
	completion completionRing

	atRX, rxLimit int // frames that the RX side has and may have
	atTX, txLimit int // frames that the TX side has and may have
	refillBatch   int // frames that make a refill worth it

	fd       int
	kernel   kernel
	copies   bool // copy mode
	busyPoll bool
	state    State
	count    Counters

	queue Queue
	maps  [][]byte // the mapped rings
}

// Counters of a socket, from its opening on.
type Counters struct {
	RX                uint64 // packets received
	RXInvalid         uint64 // RX descriptors that named a frame or bytes they could not
	RXMulti           uint64 // packets of several frames, given back
	TX                uint64 // packets queued for sending
	TXInvalid         uint64 // descriptors that Send refused
	CompletionInvalid uint64 // completions of frames that were not being sent
	Kicks             uint64 // system calls for TX
	KicksAgain        uint64 // of them: EAGAIN; more is left than one call takes, or no room further on
	KicksBusy         uint64 // of them: EBUSY; the driver dropped a packet
	KicksNoMemory     uint64 // of them: ENOBUFS or ENOMEM
	KicksFailed       uint64 // of them: any other error
	Wakes             uint64 // system calls for RX
}

// Queue is what the socket is bound to.
func (s *Socket) Queue() Queue { return s.queue }

// FD is the socket's descriptor, for an XSKMAP. It is the socket's own.
func (s *Socket) FD() int { return s.fd }

// State is what the last Kick, Wake, Check or Poller.Wait found.
func (s *Socket) State() State { return s.state }

// String names the queue, for messages.
func (s *Socket) String() string { return fmt.Sprintf("%s queue %d", s.queue.Interface, s.queue.ID) }

// Counters is a copy of the socket's counters.
func (s *Socket) Counters() Counters {
	c := s.count
	c.RXInvalid, c.RXMulti = s.rx.invalid, s.rx.multi
	c.TXInvalid = s.tx.invalid
	c.CompletionInvalid = s.completion.invalid
	return c
}

// Refill gives the kernel free frames to receive into: when there are enough to
// be worth it, or the kernel has few left. Call it before Receive: a fill ring
// and an RX ring that are both empty would wait for each other for ever.
func (s *Socket) Refill() {
	n := min(s.umem.nfree, s.rxLimit-s.atRX)
	if n < s.refillBatch && s.atRX >= s.refillBatch || n <= 0 {
		return
	}
	s.atRX += int(s.fill.refill(uint32(n)))
}

// Wake lets the kernel work for RX where that takes a system call: the driver
// sleeps until it is woken for the new frames in the fill ring, or busy polling
// is on. Otherwise it does nothing. It has nothing to do with Kick.
func (s *Socket) Wake() {
	if s.busyPoll || s.fill.needWakeup() {
		s.count.Wakes++
		s.note(s.kernel.receive(s.fd))
	}
}

// Receive takes up to len(out) packets from the RX ring. Their frames are the
// caller's until they are given to Send or Umem.Give. Descriptors that name
// bytes outside of a frame, or a frame that the kernel did not have, and packets
// of several frames are not returned but counted.
func (s *Socket) Receive(out []Desc) int {
	n := s.rx.receive(out)
	s.atRX -= int(s.rx.taken)
	s.count.RX += uint64(n)
	return n
}

// Room is how many packets Send would take now.
func (s *Socket) Room() int {
	return int(s.tx.room(uint32(max(0, s.txLimit-s.atTX))))
}

// Send queues the first of descs for sending, as many as there is room for, and
// says how many; they are no longer the caller's. One that the kernel would
// refuse is dropped and counted as TXInvalid. Call Kick afterwards.
func (s *Socket) Send(descs []Desc) int {
	n := s.tx.send(descs, uint32(max(0, s.txLimit-s.atTX)))
	s.atTX += int(s.tx.put)
	s.count.TX += uint64(s.tx.put)
	return n
}

// Pending reports whether the kernel has yet to take packets that Send queued.
func (s *Socket) Pending() bool { return s.tx.pending() }

// Kick lets the kernel send what Send queued. It makes no system call if there
// is nothing or the driver is awake. In copy mode, where one call takes only so
// many, it goes on as long as the kernel does. What is left then (a full queue
// further on, no memory) waits for the next Kick: call it each turn.
func (s *Socket) Kick() {
	for s.tx.pending() && s.tx.needWakeup() {
		left := s.left()
		err := s.kernel.send(s.fd)
		s.noteKick(err)
		retry := err == 0 || err == unix.EAGAIN || err == unix.EBUSY
		if !s.copies || !retry || s.left() == left {
			return
		}
	}
}

// left is how many entries of the TX ring the kernel has yet to take.
func (s *Socket) left() uint32 {
	return s.tx.size - s.tx.room(math.MaxUint32)
}

// noteKick counts the outcome of a kick.
func (s *Socket) noteKick(err syscall.Errno) {
	s.count.Kicks++
	switch err {
	case unix.EAGAIN:
		s.count.KicksAgain++
	case unix.EBUSY:
		s.count.KicksBusy++
	case unix.ENOBUFS, unix.ENOMEM:
		s.count.KicksNoMemory++
	case 0:
	default:
		s.count.KicksFailed++
	}
	s.note(err)
}

// note keeps what a system call told about the interface.
func (s *Socket) note(err syscall.Errno) {
	switch err {
	case unix.ENETDOWN:
		s.state = Down
	case unix.ENXIO, unix.EBADF:
		s.state = Gone
	default:
		s.state = Up
	}
}

// Complete makes the frames free that have been sent. Those that have not are
// not waited for.
func (s *Socket) Complete() {
	if s.atTX > 0 {
		s.atTX -= int(s.completion.drain())
	}
}

// Check asks the kernel for the state of the interface: a system call that does
// nothing else, for housekeeping and idle times. A wire that is down is found
// only so: nothing arrives, and there is nothing to kick for.
func (s *Socket) Check() State {
	s.note(s.kernel.receive(s.fd))
	return s.state
}

// close unmaps the rings and then closes the descriptor: a ring that is mapped
// would keep the queue.
func (s *Socket) close() error {
	var errs []error
	for _, m := range s.maps {
		if err := unix.Munmap(m); err != nil {
			errs = append(errs, fmt.Errorf("xsk: %v: unmap ring: %w", s, err))
		}
	}
	s.maps = nil
	s.fill.producer, s.tx.producer = producer{}, producer{} // a late use panics instead of faulting
	s.rx.consumer, s.completion.consumer = consumer{}, consumer{}
	if s.fd >= 0 {
		if err := unix.Close(s.fd); err != nil {
			errs = append(errs, fmt.Errorf("xsk: %v: close: %w", s, err))
		}
	}
	s.fd, s.state = -1, Gone
	return errors.Join(errs...)
}
