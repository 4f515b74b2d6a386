// SPDX-License-Identifier: Apache-2.0

package tomlfile

import (
	"fmt"
	"io"
	"os"
)

// ReadFile returns the contents of a regular file of at most max bytes. A file
// that is not there, cannot be read, is longer, or is no regular file is an
// error, which names the path and wraps the cause.
func ReadFile(path string, max int64) ([]byte, error) {
	// Looked at before it is opened: opening a pipe waits for its other end.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", printable(path), pathless(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", printable(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", printable(path), pathless(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", printable(path), pathless(err))
	case int64(len(text)) > max:
		return nil, fmt.Errorf("read %s: longer than %d bytes", printable(path), max)
	}
	return text, nil
}

// pathless takes the path out of an error of package os: the message has it
// already, in a form that is safe to show.
func pathless(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}
