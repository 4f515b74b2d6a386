// SPDX-License-Identifier: Apache-2.0

// Command bulkhead is a packet enforcement gateway in the cable between two
// segments. `bulkhead run` is the daemon, the other verbs look at files or
// talk to it.
//
// Nouns show, verbs change. It ends with 0 when done, 1 when refused or failed,
// 2 when called wrongly. All that it reads and writes goes through the struct
// system, so that everything but main can be tested.
package main

import "os"

func main() { os.Exit(realSystem().main(os.Args[1:])) }
