// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"bulkhead/ctrl/api"
	"bulkhead/testenv"
)

// startGateway puts the gateway into the wire.
func (d *demo) startGateway(ctx context.Context) (err error) {
	if d.filesBefore, err = d.gatewayFiles(); err != nil {
		return err
	}
	begin := testenv.Now()
	d.gateway, err = testenv.StartGateway(ctx, d.lab.Gateway, d.binary, "run", "--wire", strings.Join(d.lab.Ports, ":"),
		"--policy", filepath.Join(d.dir, firstPolicy), "--run-dir", d.runDir, "--bpffs", d.bpffs, "--name", "demo")
	if err != nil {
		return err
	}
	d.client = api.NewClient(d.runDir)
	d.say("$ bulkhead run --wire %s --policy %s", strings.Join(d.lab.Ports, ":"), firstPolicy)
	d.check(true, "ready after %s; the wire has no address, and no host knows that it is there", milliseconds(testenv.Now().Sub(begin)))
	return nil
}

// stopLimit is how long the gateway has to clean up.
const stopLimit = 10 * time.Second

// stopGateway ends the gateway as a service manager would, and looks at what it leaves on the wire and on disk. The
// rest of the lab is removed later: see nothingLeft.
func (d *demo) stopGateway(context.Context) error {
	d.section("The end")
	begin := testenv.Now()
	code, err := d.gateway.Stop(stopLimit)
	if err != nil {
		return err
	}
	d.check(code == 0, "SIGTERM: the gateway ended with code %d after %s", code, milliseconds(testenv.Now().Sub(begin)))
	left, err := d.gatewayLeft()
	if err != nil {
		return err
	}
	d.check(left == nil, "left by it: %s", orNothing(left, "no program on w0 or w1, no pin, no socket, no lock"))
	return nil
}

// gatewayLeft lists what the gateway has made and not removed.
func (d *demo) gatewayLeft() (left []string, err error) {
	for _, port := range d.lab.Ports {
		attached, err := hasProgram(d.lab.Gateway, port)
		if err != nil {
			return nil, err
		}
		if attached {
			left = append(left, "a program on "+port)
		}
	}
	files, err := d.gatewayFiles()
	for _, f := range files {
		if !slices.Contains(d.filesBefore, f) {
			left = append(left, f)
		}
	}
	return left, err
}

// gatewayFiles are the files where the gateway makes its own. (In a fresh bpffs the kernel may have some.)
func (d *demo) gatewayFiles() (files []string, err error) {
	for _, dir := range []string{d.bpffs, d.runDir} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// hasProgram tells whether an XDP program is attached to an interface.
func hasProgram(n *testenv.NS, dev string) (attached bool, err error) {
	err = n.Do(func() error {
		l, err := netlink.LinkByName(dev)
		if err == nil {
			attached = l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached
		}
		return err
	})
	return attached, err
}

// nothingLeft compares what this process has with what it had before: when all is removed, nothing is left. What the
// kernel or the runtime lets go a little later is waited for.
func (d *demo) nothingLeft(before []string) error {
	begin := testenv.Now()
	for {
		after, err := testenv.Belongings()
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(after, func(s string) bool { return slices.Contains(before, s) })
		if len(left) > 0 && testenv.Now().Sub(begin) < 2*time.Second {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if d.sections == 0 { // nothing was made
			return nil
		}
		d.check(left == nil, "left by the demo: %s", orNothing(left, "no namespace, process, socket, mount or file"))
		return nil
	}
}

// orNothing lists what is left, or says what is not.
func orNothing(left []string, nothing string) string {
	if len(left) == 0 {
		return nothing
	}
	return strings.Join(left, ", ")
}

// summary is the last line; it returns the exit code.
func (d *demo) summary() int {
	took := time.Since(d.begin).Round(100 * time.Millisecond)
	d.print("")
	if d.wrong > 0 {
		d.print(d.paint(red, fmt.Sprintf("%d of %d checks are WRONG (%v)", d.wrong, d.checks, took)))
		return 1
	}
	d.print(d.paint(green, fmt.Sprintf("All %d checks are as they should be (%v)", d.checks, took)))
	if d.report.err != nil {
		return 1
	}
	return 0
}
