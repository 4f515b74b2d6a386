// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"os"
)

// TempDir makes a folder that only its owner can read, for a main program; CloseAll removes it with all that is in it,
// and Sweep does after kill -9. Tests have one of package testing.
func TempDir(label string) (string, error) {
	dir, err := os.MkdirTemp("", uniqueName(label)+"-")
	if err != nil {
		return "", err
	}
	_, err = process.own(func() error { return os.RemoveAll(dir) })
	return dir, err
}
