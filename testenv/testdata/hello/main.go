// SPDX-License-Identifier: Apache-2.0

// Command hello plays a gateway that is at once ready, and ends with 0 on SIGTERM.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM)
	fmt.Fprintln(os.Stderr, "ready")
	<-ch
}
