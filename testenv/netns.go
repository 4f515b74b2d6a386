// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// NS is a network namespace that this process has made, and the owner of what is opened in it.
// Safe for concurrent use.
type NS struct {
	label string
	name  string // under /run/netns; empty: anonymous
	owner owner
	close func() error

	mu     sync.RWMutex
	closed bool            // guarded by mu
	handle netns.NsHandle  // guarded by mu: a closed descriptor may be somebody else's
	links  *netlink.Handle // route and generic netlink inside; closed under mu
}

// errClosed: the namespace is closed.
var errClosed = errors.New("the namespace is closed")

// New makes an anonymous network namespace: it vanishes with the last process or socket in it,
// so nothing is left even after kill -9. The label is for messages only. lo is up, IPv6 needs no DAD and
// takes no router's word, addresses survive that a link is down, rp_filter and the rate limits of ICMP answers are off, br_netfilter looks away.
// The caller closes it. It needs the capabilities that Privileged names.
func New(label string) (*NS, error) { return newNS(label, "") }

// NewNamed is New with a name under /run/netns, bh-PID-N-LABEL, for `ip netns exec` and the like.
// After kill -9 the name stays until the next Sweep.
func NewNamed(label string) (*NS, error) { return newNS(label, uniqueName(label)) }

func newNS(label, name string) (*NS, error) {
	n := &NS{label: label, name: name, handle: netns.None()}
	if err := onOwnThread(n.make); err != nil {
		return nil, fmt.Errorf("new namespace %s: %w", label, err)
	}
	var err error
	if n.close, err = process.own(n.remove); err != nil {
		return nil, fmt.Errorf("new namespace %s: %w", label, err)
	}
	if err := n.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare namespace %s: %w", label, err), n.Close())
	}
	return n, nil
}

// make runs on a thread of its own and leaves it in the new namespace.
func (n *NS) make() (err error) {
	if n.handle, err = netns.New(); err != nil || n.name == "" {
		return err
	}
	if err = bindName(n.name); err != nil {
		return errors.Join(err, n.handle.Close())
	}
	return nil
}

// bindName gives the calling thread's network namespace a name.
func bindName(name string) error {
	if err := os.MkdirAll(namesDir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(namesDir, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	_ = f.Close() // nothing was written
	self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	if err := unix.Mount(self, path, "", unix.MS_BIND, ""); err != nil {
		return errors.Join(wrap("bind "+path, err), os.Remove(path))
	}
	return nil
}

// prepare opens the netlink sockets and sets what New promises.
func (n *NS) prepare() (err error) {
	n.links, err = netlink.NewHandleAt(n.handle, unix.NETLINK_ROUTE, unix.NETLINK_GENERIC)
	if err != nil {
		return wrap("open netlink", err)
	}
	for _, s := range quietHost {
		if err := n.Sysctl(s.name, s.value); err != nil && (s.always || !errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return n.SetUp("lo", true)
}

// quietHost is what keeps hosts from saying and dropping more than a test asks of them.
// What is not always there belongs to a module that may be absent.
var quietHost = []struct {
	name, value string
	always      bool
}{
	{"net.ipv4.conf.all.rp_filter", "0", true},
	{"net.ipv4.conf.default.rp_filter", "0", true},
	{"net.ipv4.icmp_ratelimit", "0", true},
	{"net.ipv6.conf.all.accept_dad", "0", false},
	{"net.ipv6.conf.default.accept_dad", "0", false},
	{"net.ipv6.conf.all.accept_ra", "0", false},
	{"net.ipv6.conf.default.accept_ra", "0", false},
	{"net.ipv6.conf.default.router_solicitations", "0", false},
	{"net.ipv6.conf.default.keep_addr_on_down", "1", false},
	{"net.ipv6.icmp.ratelimit", "0", false},
	{"net.bridge.bridge-nf-call-iptables", "0", false},
	{"net.bridge.bridge-nf-call-ip6tables", "0", false},
	{"net.bridge.bridge-nf-call-arptables", "0", false},
}

// String is the label.
func (n *NS) String() string { return n.label }

// Name is the name under /run/netns, or empty for an anonymous namespace.
func (n *NS) Name() string { return n.name }

// Path leads to the namespace from any process, as in `nsenter --net=PATH`, while this process lives.
func (n *NS) Path() string {
	if n.name != "" {
		return filepath.Join(namesDir, n.name)
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(int(n.handle))
}

// Close ends the children in the namespace, closes what was opened in it and removes it.
// It may be called more than once.
func (n *NS) Close() error { return wrap("close namespace "+n.label, n.close()) }

func (n *NS) remove() error {
	errs := []error{n.owner.closeAll()}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	if n.links != nil {
		n.links.Close()
	}
	errs = append(errs, n.handle.Close())
	if n.name != "" {
		errs = append(errs, netns.DeleteNamed(n.name))
	}
	return errors.Join(errs...)
}

// Do runs fn inside the namespace and returns its error. fn runs on a locked thread of its own goroutine:
// what it opens belongs to the namespace for ever, but goroutines that it starts do not run inside.
// A panic of fn is passed on to the caller, with fn's stack; so is runtime.Goexit (t.FailNow).
// A thread that cannot go back to where it was is ended.
func (n *NS) Do(fn func() error) error {
	return onOwnThread(func() error { return n.inside(fn) })
}

// inside moves the calling thread into the namespace, runs fn and leaves the thread there.
func (n *NS) inside(fn func() error) error {
	if err := n.enter(); err != nil {
		return fmt.Errorf("enter namespace %s: %w", n.label, err)
	}
	return fn()
}

// enter moves the calling thread into the namespace.
func (n *NS) enter() error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closed {
		return errClosed
	}
	return netns.Set(n.handle)
}

// onOwnThread runs fn on a locked thread of a goroutine of its own.
func onOwnThread(fn func() error) error {
	v := visit{done: make(chan struct{})}
	go v.run(fn)
	<-v.done
	switch {
	case v.panicked != nil:
		panic(v.panicked)
	case !v.returned:
		runtime.Goexit()
	}
	return v.err
}

// visit is one run of a function on a thread of its own, and how it ended.
type visit struct {
	done     chan struct{}
	returned bool
	panicked any
	err      error
}

func (v *visit) run(fn func() error) {
	defer close(v.done)
	defer func() {
		if p := recover(); p != nil {
			v.panicked = fmt.Sprintf("%v\n\nin a namespace:\n%s", p, debug.Stack())
		}
	}()
	v.err = excursion(fn)
	v.returned = true
}

// excursion runs fn on a locked thread and brings the thread back into its namespace after. If that is not
// possible the thread stays locked, and so ends with the goroutine.
func excursion(fn func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return wrap("find the thread's own namespace", err)
	}
	defer func() {
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		_ = home.Close() // a descriptor opened for reading
	}()
	return fn()
}

// Sysctl sets a kernel setting under /proc/sys/net as the namespace sees it; the name is written with dots,
// as with sysctl(8), and interface names with dots are not supported.
// The error wraps os.ErrNotExist where the kernel has no such setting.
func (n *NS) Sysctl(name, value string) error {
	path := filepath.Join("/proc/sys", filepath.Join(splitDots(name)...))
	// The files of /proc/sys/net are those of the namespace of the thread that opens them.
	return n.Do(func() error { return os.WriteFile(path, []byte(value), 0o644) })
}
