package ari

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Sound asks the node whether it has a sound, in any language: a name such as
// "deflectd/offer", with or without "sound:" before it. It needs no connection.
// The error says that this is not known: the node does not answer, lacks the
// module res_ari_sounds, or the sound is named by where its file lies
// ("/var/…"), for which Asterisk keeps no list.
//
// Asterisk looks into its folders each time, so a file that was just put there is
// known. It takes the first folder of sounds for a language; a sound that lies in
// no language's folder is found all the same, unless it lies in no folder at all.
func (c *Client) Sound(ctx context.Context, name string) (known bool, err error) {
	name = strings.TrimPrefix(name, "sound:")
	if name == "" || strings.HasPrefix(name, "/") {
		return false, fmt.Errorf("ari: look for a sound: %w", errUnlisted)
	}
	languages, err := c.languages(ctx, name)
	if err != nil || len(languages) > 0 {
		return len(languages) > 0, err
	}
	folder, rest, deeper := strings.Cut(name, "/")
	if !deeper || rest == "" {
		return false, nil
	}
	languages, err = c.languages(ctx, rest)
	for _, language := range languages {
		known = known || language == folder
	}
	return known, err
}

var errUnlisted = errors.New("Asterisk keeps no list of such sounds") //nolint:staticcheck // a name

// languages are those that a sound is there in.
func (c *Client) languages(ctx context.Context, name string) ([]string, error) {
	var said struct {
		Formats []struct{ Language string }
	}
	err := c.command(ctx, verbSound, http.MethodGet, "/sounds/"+url.PathEscape(name), &said)
	var refused *StatusError
	switch {
	// Where the module is missing it is the resource that is not found.
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Message == "Sound not found":
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("ari: look for a sound: %w", err)
	}
	list := make([]string, len(said.Formats))
	for i, f := range said.Formats {
		list[i] = f.Language
	}
	return list, nil
}

const (
	// soundsFor is how long one look at all nodes may take: somebody waits who
	// saves a campaign.
	soundsFor = 500 * time.Millisecond
	// soundsKept is how long an answer stands, soundsDoubted how long it stands
	// that there was none.
	soundsKept    = time.Minute
	soundsDoubted = 5 * time.Second
	// mostSounds bounds what is remembered.
	mostSounds = 10_000
)

// ErrNotConnected says that no node is connected that could be asked.
var ErrNotConnected = errors.New("no Asterisk is connected")

// Sounds knows which sounds the connected nodes have. It remembers the answers for
// a minute.
type Sounds struct {
	nodes []*Client

	mu    sync.Mutex
	known map[string]soundAnswer
}

type soundAnswer struct {
	known bool
	err   error
	until time.Time
}

// NewSounds makes Sounds of these nodes.
func NewSounds(nodes ...*Client) *Sounds {
	return &Sounds{nodes: nodes, known: make(map[string]soundAnswer)}
}

// Sound tells whether at least one connected node has a sound: see Client.Sound. It
// takes half a second at most. The error says that this is not known; it is
// ErrNotConnected where there is nobody to ask.
func (s *Sounds) Sound(ctx context.Context, name string) (known bool, err error) {
	s.mu.Lock()
	a, ok := s.known[name]
	s.mu.Unlock()
	if ok && time.Now().Before(a.until) {
		return a.known, a.err
	}
	a.known, a.err = s.ask(ctx, name)
	if ctx.Err() != nil { // whoever asked has gone: that says nothing to others
		return a.known, a.err
	}
	keep := soundsKept
	if a.err != nil {
		keep = soundsDoubted
	}
	a.until = time.Now().Add(keep)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= mostSounds {
		clear(s.known)
	}
	s.known[name] = a
	return a.known, a.err
}

// ask asks all connected nodes at once.
func (s *Sounds) ask(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, soundsFor)
	defer cancel()
	known, errs := make([]bool, len(s.nodes)), make([]error, len(s.nodes))
	asked := false
	var wg sync.WaitGroup
	for i, node := range s.nodes {
		if node.Up() {
			asked = true
			wg.Go(func() { known[i], errs[i] = node.Sound(ctx, name) })
		}
	}
	wg.Wait()
	for _, k := range known {
		if k {
			return true, nil
		}
	}
	if !asked {
		return false, fmt.Errorf("look for a sound: %w", ErrNotConnected)
	}
	return false, errors.Join(errs...)
}
