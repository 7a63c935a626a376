package page

import (
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAssets(t *testing.T) {
	f := newFixture(t)
	b := f.browser("")
	page := b.get("/sign-in").want(200)
	addresses := regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(page.body, -1)
	require.Len(t, addresses, 3)
	for _, m := range addresses {
		b.header.Set("Accept-Encoding", "identity")
		a := b.get(m[1]).want(200)
		require.Equal(t, "public, max-age=31536000, immutable", a.header.Get("Cache-Control"))
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		plain, _, _ := strings.Cut(m[1], "?")
		require.Equal(t, "no-cache", b.get(plain).want(200).header.Get("Cache-Control"))
		require.Equal(t, "no-cache", b.get(plain+"?v=other").want(200).header.Get("Cache-Control"))
		b.header.Set("If-None-Match", a.header.Get("ETag"))
		require.Empty(t, b.get(plain).want(304).body)
		b.header.Del("If-None-Match")

		b.header.Set("Accept-Encoding", "br, GZIP;q=0.5")
		z := b.get(m[1]).want(200)
		require.Equal(t, "gzip", z.header.Get("Content-Encoding"))
		r, err := gzip.NewReader(strings.NewReader(z.body))
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, a.body, string(text))
		b.header.Set("Accept-Encoding", "gzip; q=0")
		require.Empty(t, b.get(m[1]).header.Get("Content-Encoding"))
	}
	b.header.Del("Accept-Encoding")
	style := b.get("/assets/style.css").body
	require.Less(t, strings.Index(style, ":root"), strings.Index(style, ".campaign-grid"), "base.css comes first")
	require.NotContains(t, style, "url(", "a style sheet loads nothing")
	require.NotContains(t, style, "@import")
	for _, name := range []string{"base.css", "none.js", "..%2fpage.go", ""} {
		require.NotEqual(t, http.StatusOK, b.get("/assets/"+name).code, name)
	}
}

// All that a first visit loads is little.
func TestAssetsAreSmall(t *testing.T) {
	sum := 0
	for name, a := range loadAssets().files {
		size := len(a.raw)
		if a.gzipped != nil {
			size = len(a.gzipped)
		}
		sum += size
		t.Logf("%s: %d bytes, %d sent", name, len(a.raw), size)
	}
	require.Less(t, sum, 60_000)
}
