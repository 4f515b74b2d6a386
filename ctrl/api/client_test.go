// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestClientSaysWhatIsWrongWithTheConnection(t *testing.T) {
	top := t.TempDir()
	stale := filepath.Join(top, "stale")
	if err := os.Mkdir(stale, 0o750); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", SocketPath(stale))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, c := range []struct {
		name, dir string
		is        error
		say       string
	}{
		{"no daemon", filepath.Join(top, "none"), fs.ErrNotExist, "is bulkhead running?"},
		{"daemon died", stale, unix.ECONNREFUSED, "start it again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewClient(c.dir).Status(within(t))
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.say) || !strings.Contains(err.Error(), SocketPath(c.dir)) {
				t.Errorf("error is %q, want the socket's path, %q and %q", err, c.is, c.say)
			}
			if strings.Contains(err.Error(), "http://") {
				t.Errorf("error shows a made-up URL: %q", err)
			}
		})
	}
}

func TestClientWithoutPermissionLearnsTheGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: connects as another user")
	}
	d := open(t, filepath.Join(t.TempDir(), "run"), "54321")
	l, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := NewClient(d.path)
	c.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		return asNobody(func() (net.Conn, error) { return net.Dial("unix", c.socket) })
	}
	_, err = c.Status(within(t))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), `group "54321"`) {
		t.Errorf("error is %q", err)
	}
}

// asNobody calls f in a thread that has the file system's rights of nobody.
func asNobody(f func() (net.Conn, error)) (c net.Conn, err error) {
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends here
		unix.Setfsgid(65534)
		unix.Setfsuid(65534)
		c, err = f()
	}()
	<-done
	return c, err
}

func TestClientUnderstandsAnyAnswer(t *testing.T) {
	for _, c := range []struct{ name, answer, want string }{
		{"not JSON", "HTTP/1.1 500 x\r\nContent-Length: 4\r\n\r\noops", "500 Internal Server Error"},
		{"JSON of another kind", "HTTP/1.1 404 x\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}", "404 Not Found"},
		{"half an answer", "HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\n{\"name\"", "unexpected EOF"},
		{"another type", "HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\n[]", "answer"},
		{"no HTTP", "SSH-2.0-x\r\n", "malformed HTTP"},
		{"nothing", "", "closed the connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewClient(answering(t, c.answer)).Status(within(t))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// answering listens in a directory, and says text to the first who connects.
func answering(t *testing.T, text string) (dir string) {
	dir = t.TempDir()
	l, err := net.Listen("unix", SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 4096))
		io.WriteString(c, text)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return dir
}

func TestPolicyOverTheLimitIsNotSent(t *testing.T) {
	_, err := NewClient(t.TempDir()).Apply(within(t), "big.toml", make([]byte, maxPolicy+1))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(maxPolicy)) {
		t.Errorf("error is %v, want the limit", err)
	}
}

// FuzzFailure reads any body of a refusal: never a panic, always something to
// say, and the status is the one of the answer.
func FuzzFailure(f *testing.F) {
	f.Add(422, []byte(`{"detail":"x","problems":[{"file":"p","line":1}]}`))
	f.Add(500, []byte(`null`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if got := failureFrom(status, body); got.Status != status || got.Error() == "" {
			t.Errorf("failure is %+v", got)
		}
	})
}
