package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tandem/pipeline"
	"tandem/webrtc/client"
)

// deafReaders is how many readers of server-sent events a session may have.
const deafReaders = 16

// stopReading is the case readers.
func (s *soak) stopReading(ctx context.Context) (string, error) {
	at, err := url.Parse(s.base[0].URL())
	if err != nil {
		return "", err
	}
	before, err := s.server.sample(ctx)
	if err != nil {
		return "", err
	}
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range deafReaders {
		c, err := net.Dial("tcp", at.Host)
		if err != nil {
			return "", err
		}
		open = append(open, c)
		if err := c.(*net.TCPConn).SetReadBuffer(1); err != nil { // the least that the system has
			return "", err
		}
		if _, err := fmt.Fprintf(c, "GET %s/events HTTP/1.1\r\nHost: localhost\r\n\r\n", at.Path); err != nil {
			return "", err
		}
	}
	if err := wait(ctx, "connections", 10*time.Second, func() bool {
		now, err := s.server.sample(ctx)
		return err == nil && now.connections >= before.connections+deafReaders
	}); err != nil {
		return "", err
	}
	its, all := s.base[0].windows.Load(), windows(s.base)
	if err := sleep(ctx, s.hold); err != nil {
		return "", err
	}
	got := float64(s.base[0].windows.Load() - its)
	mean := float64(windows(s.base)-all) / float64(len(s.base))
	if got < .9*mean {
		err = errors.New("too few windows")
	}
	return fmt.Sprintf("%.0f windows in %v, other sessions %.0f", got, s.hold, mean), err
}

// diskSize is the room on the disk that gets full, in KiB.
const diskSize = 16

// fillDisk is the case disk.
func (s *soak) fillDisk(ctx context.Context) (string, error) {
	disk := filepath.Join(s.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		return "", err
	}
	size := fmt.Sprintf("size=%dk", diskSize)
	mount := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", size, "tandem", disk)
	if out, err := mount.CombinedOutput(); err != nil {
		return fmt.Sprintf("SKIPPED: a small disk needs the right to mount: %s", bytes.TrimSpace(out)), nil
	}
	defer exec.Command("umount", "-l", disk).Run()
	record, err := s.recordOnDisk(ctx, filepath.Join(disk, "events.jsonl"))
	if err != nil {
		return record, err
	}
	log, err := s.logOnDisk(ctx, filepath.Join(disk, "log"))
	return log + "; " + record, err
}

// fill appends to a file until its disk is full.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for range diskSize << 10 {
		if _, err := f.Write([]byte{'\n'}); err != nil {
			return nil
		}
	}
	return errors.New("the disk does not get full")
}

// logOnDisk has a server's log get full, and a session there go on.
func (s *soak) logOnDisk(ctx context.Context, path string) (string, error) {
	if err := os.RemoveAll(filepath.Join(filepath.Dir(path), "events.jsonl")); err != nil {
		return "", err
	}
	server, err := startServe(ctx, path, append([]string{"--log-level", "debug"}, unbounded...)...)
	if err != nil {
		return "", err
	}
	stopped := false
	defer func() {
		if !stopped {
			_, _ = server.stop()
		}
	}()
	o := client.Options{URL: server.url + "/whip"}
	p, err := dial(ctx, s.clip, o, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = p.close() }()
	if err := errors.Join(sees(ctx, p), fill(path)); err != nil {
		return "", err
	}
	said := len(server.log())
	later, err := dial(ctx, s.clip, o, nil)
	if err != nil {
		return "", fmt.Errorf("with a full log: %w", err)
	}
	defer func() { _ = later.close() }()
	if err := errors.Join(sees(ctx, p), sees(ctx, later)); err != nil {
		return "", fmt.Errorf("with a full log: %w", err)
	}
	stopped = true
	if took, err := server.stop(); err != nil || took > endTime {
		return "", fmt.Errorf("with a full log it ends by %v after %v", err, took)
	}
	if len(server.log()) != said {
		return "", errors.New("the log was not full")
	}
	return "log: two sessions go on, end by SIGTERM", nil
}

// recordOnDisk has tandem live, with the test pattern for a camera, write its events to a path that gets full.
func (s *soak) recordOnDisk(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd, err := self(ctx, asTandem, "live", "--camera", filepath.Join(s.dir, pattern), "--mic", "none", "--no-window",
		"--record-events", path)
	if err != nil {
		return "", err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		return "", err
	}
	err = cmd.Wait()
	if strings.Contains(said.String(), "built without") {
		return "record: SKIPPED: built without a camera", nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(said.String(), "no space left on device") {
		return "", fmt.Errorf("tandem live on a full disk ends by %v: %s", err, tail(said.String(), 500))
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	events, err := pipeline.ReadAll(f)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("the record has %d events and then: %w", len(events), err)
	}
	return fmt.Sprintf("record: %d events", len(events)), nil
}
