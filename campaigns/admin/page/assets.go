package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// styleSheet is the one style sheet: base.css, then all others in the order of
// their names.
const styleSheet = "style.css"

// asset is a file that pages load.
type asset struct {
	kind    string
	hash    string
	raw     []byte
	gzipped []byte // nil where that is not shorter
}

// assets are all files that pages load, by their names.
type assets struct{ files map[string]*asset }

// loadAssets reads what is built into the program. It panics where that cannot
// be, which every test would notice.
func loadAssets() *assets {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	a := &assets{files: map[string]*asset{}}
	var sheets []string
	for _, e := range entries { // in the order of their names
		name := e.Name()
		raw, err := assetFiles.ReadFile(path.Join("assets", name))
		if err != nil {
			panic(err)
		}
		if path.Ext(name) != ".css" {
			a.files[name] = newAsset(name, raw)
			continue
		}
		if name == "base.css" {
			sheets = slices.Insert(sheets, 0, string(raw))
		} else {
			sheets = append(sheets, string(raw))
		}
	}
	a.files[styleSheet] = newAsset(styleSheet, []byte(strings.Join(sheets, "\n")))
	return a
}

func newAsset(name string, raw []byte) *asset {
	kind := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	sum := sha256.Sum256(raw)
	a := &asset{kind: kind, raw: raw, hash: base64.RawURLEncoding.EncodeToString(sum[:9])}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
	_, _ = z.Write(raw)                                   // into memory
	_ = z.Close()
	if b.Len() < len(raw) {
		a.gzipped = b.Bytes()
	}
	return a
}

// address is where a file is, with the hash of what is in it: another version
// has another address, so that browsers may keep each for good.
func (a *assets) address(name string) string {
	f := a.files[name]
	if f == nil {
		panic("there is no asset " + name)
	}
	return "/assets/" + name + "?v=" + f.hash
}

// ServeHTTP implements http.Handler.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := a.files[r.PathValue("name")]
	if f == nil {
		http.Error(w, "there is nothing at this address", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", `"`+f.hash+`"`)
	h.Set("Vary", "Accept-Encoding")
	if r.URL.Query().Get("v") == f.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), `"`+f.hash+`"`) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.raw
	if f.gzipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = f.gzipped
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // who has gone needs no answer
	}
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3) as far as it says gzip
// by name.
func acceptsGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
