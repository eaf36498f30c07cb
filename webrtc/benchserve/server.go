package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/peer"
)

// The modes of a server.
const (
	full  = "full"
	floor = "floor" // receive and decode only
)

// serve is the server's process, set up as tandem serve is. It prints its URL and ends with in, so that it does not
// outlive the process that started it.
func serve(ctx context.Context, mode string, in io.Reader, out io.Writer) error {
	if mode != full && mode != floor {
		return fmt.Errorf("-serve %q: known are %s and %s", mode, full, floor)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	rec, err := infer.NewRecognizer(infer.DefaultModel(), infer.Options{Threads: 1, Int8IfFaster: true})
	if err != nil {
		return err
	}
	defer rec.Close()
	faces, err := infer.NewBlazeFace()
	if err != nil {
		return err
	}
	defer faces.Close()
	voice, err := infer.NewSilero()
	if err != nil {
		return err
	}
	defer voice.Close()
	po := pipeline.DefaultOptions()
	po.Voice = voice
	s, err := webrtc.NewServer(webrtc.Options{
		Recognizer: rec, Faces: faces, Model: "benchmark", Pipeline: po,
		MaxSessions: 1 << 16, MaxPerAddress: -1, MaxTime: 24 * time.Hour,
		Network: peer.Options{Loopback: true}, ReceiveOnly: mode == floor,
	})
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	return s.Serve(ctx, l)
}

// server is the process as its parent has it.
type server struct {
	url string
	cmd *exec.Cmd
	in  io.Closer
}

func startServer(ctx context.Context, mode string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.CommandContext(ctx, self, "-serve", mode)}
	s.cmd.Stderr = os.Stderr
	s.cmd.WaitDelay = 10 * time.Second
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(errors.New("the server did not start"), s.stop())
	}
	s.url = strings.TrimSpace(line)
	return s, nil
}

func (s *server) stop() error {
	s.in.Close()
	return s.cmd.Wait()
}

// metrics returns the server's, by name and labels as they stand there, and by name alone, added up over the labels.
func (s *server) metrics(ctx context.Context) (map[string]float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s", resp.Status)
	}
	return parseMetrics(resp.Body)
}

// parseMetrics reads the text format of Prometheus.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	out := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		name, _, labelled := strings.Cut(line[:end], "{")
		out[name] += v
		if labelled {
			out[line[:end]] = v
		}
	}
	return out, lines.Err()
}
