package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// api is deflectd's HTTP API as an admin uses it.
type api struct {
	base  string
	token string
	http  *http.Client
}

// campaign, call and message are what the demo needs of the API's answers.
type (
	call struct {
		ID       string    `json:"id"`
		ANI      string    `json:"ani"`
		DNIS     string    `json:"dnis"`
		Outcome  string    `json:"outcome"`
		Reason   string    `json:"reason"`
		Message  string    `json:"message"`
		Started  time.Time `json:"started_at"`
		Answered time.Time `json:"answered_at"`
		Ended    time.Time `json:"ended_at"`
		Steps    []struct {
			At     time.Time `json:"at"`
			Name   string    `json:"name"`
			Detail string    `json:"detail"`
		} `json:"steps"`
	}
	message struct {
		ID       string `json:"id"`
		To       string `json:"to"`
		Text     string `json:"text"`
		URL      string `json:"url"`
		Encoding string `json:"encoding"`
		Segments int    `json:"segments"`
		State    string `json:"state"`
		Reason   string `json:"reason"`
		History  []struct {
			At    time.Time `json:"at"`
			State string    `json:"state"`
		} `json:"history"`
	}
	list[T any] struct {
		Items []T `json:"items"`
	}
)

// do sends one request and reads the answer into out, if there is one.
func (a *api) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	text, status, err := a.send(req)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case status >= http.StatusBadRequest:
		return fmt.Errorf("%s %s: %d: %s", method, path, status, strings.TrimSpace(string(text)))
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// get fetches a page that needs no token.
func (a *api) get(ctx context.Context, url string) (text string, header http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", nil, fmt.Errorf("get %s: %w", url, err)
	}
	req.Header.Set("User-Agent", phoneBrowser)
	res, err := a.http.Do(req)
	if err != nil {
		return "", nil, fmt.Errorf("get %s: %w", url, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return "", nil, fmt.Errorf("get %s: %w", url, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return "", nil, fmt.Errorf("get %s: %s: %s", url, res.Status, body)
	}
	return string(body), res.Header, nil
}

// phoneBrowser is how the browser of a phone presents itself.
const phoneBrowser = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) " +
	"Chrome/130.0.0.0 Mobile Safari/537.36"

func (a *api) send(req *http.Request) ([]byte, int, error) {
	res, err := a.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	return text, res.StatusCode, err
}
