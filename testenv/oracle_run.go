// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Stream sends packets of a class: Frame makes the frame around a stamped payload of Size bytes.
type Stream struct {
	Class *Class
	Size  int
	Frame func(payload []byte) []byte
}

// burst is how many frames go out without a pause; a veth's ring holds 256.
const burst = 32

// Send sends total packets, turn by turn from the streams, at rate packets a second altogether. When it was kept
// from running it does not catch up: a burst would be lost in the harness, not in the gateway.
// It returns early, with the context's cause, when the context ends.
func (o *Oracle) Send(ctx context.Context, conn *RawConn, rate, total int, streams ...Stream) error {
	if rate <= 0 || len(streams) == 0 {
		return fmt.Errorf("oracle: send: needs a rate above 0 and a stream")
	}
	gap := time.Second / time.Duration(rate)
	due := Now()
	for i := range total {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		late := Now().Sub(due)
		if late < 0 {
			if err := pause(ctx, -late); err != nil {
				return err
			}
		} else if late > burst*gap {
			due = Now() - Instant(burst*gap)
		}
		s := streams[i%len(streams)]
		if err := conn.Send(s.Frame(s.Class.Stamp(s.Size))); err != nil {
			return err
		}
		due += Instant(gap)
	}
	return nil
}

// pause sleeps, or returns the reason of the context's end.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Receive hears what arrives at conn until stopped. stop reports an error of the socket (also that it was closed
// before), and frames that the socket had no room for: then the oracle's counts of lost packets mean nothing.
func (o *Oracle) Receive(conn *RawConn) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- o.receive(ctx, conn) }()
	return func() error {
		cancel()
		return <-result
	}
}

func (o *Oracle) receive(ctx context.Context, conn *RawConn) error {
	for {
		got, err := conn.Recv(ctx, nil)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		o.See(got.Frame, got.At)
	}
	drops, err := conn.Drops()
	if drops > 0 {
		err = errors.Join(err, fmt.Errorf("oracle: the receiver itself dropped %d frames", drops))
	}
	return err
}

// Settle waits until every packet that must pass has arrived, or the context ends; then what is missing is lost.
// It always waits a little for packets that must not arrive: one maximal age.
func (o *Oracle) Settle(ctx context.Context) {
	if pause(ctx, o.maxAge) != nil {
		return
	}
	for o.awaited() > 0 {
		if pause(ctx, 5*time.Millisecond) != nil {
			return
		}
	}
}
