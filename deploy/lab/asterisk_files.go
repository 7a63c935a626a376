package lab

import (
	"embed"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	product "deflectd/deploy/asterisk"
)

//go:embed conf/*.conf
var confFiles embed.FS

var confTemplates = template.Must(template.ParseFS(confFiles, "conf/*.conf"))

// emptyConfs are files Asterisk complains about when they are not there.
var emptyConfs = []string{
	"acl", "ccss", "cel", "cli_aliases", "codecs", "dnsmgr", "dsp", "enum", "extconfig", "features",
	"indications", "musiconhold", "pjproject", "sorcery", "udptl", "websocket_client",
}

// settings are what the templates below conf/ name.
type settings struct {
	AsteriskOptions
	Dir                   string
	Modules, Password     string
	SIPPort, HTTPPort     int
	FirstRTP, LastRTP     int
	Patience              int
	Stay                  float64
	Log                   string
	CauseIVR, CauseAgents int
}

// writeFiles writes everything Asterisk reads: the product's files as they
// are, those of the lab around them, and sounds.
func (a *Asterisk) writeFiles(o AsteriskOptions) error {
	for _, dir := range []string{"etc/deflectd", "lib", "spool", "run", "log", "data/sounds/en/deflectd", "data/sounds/en/lab"} {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o750); err != nil {
			return fmt.Errorf("make the folders: %w", err)
		}
	}
	if err := a.writeConfs(o); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if err := a.writeProduct(); err != nil {
		return fmt.Errorf("write the product's files: %w", err)
	}
	if err := a.writeSounds(o.Sounds); err != nil {
		return fmt.Errorf("write the sounds: %w", err)
	}
	// Asterisk does not load without its documentation and API descriptions.
	for _, name := range []string{"documentation", "rest-api"} {
		link := filepath.Join(a.dir, "data", name)
		if err := os.RemoveAll(link); err != nil {
			return fmt.Errorf("link the data of asterisk: %w", err)
		}
		if err := os.Symlink(filepath.Join(a.tools.Data, name), link); err != nil {
			return fmt.Errorf("link the data of asterisk: %w", err)
		}
	}
	return nil
}

func (a *Asterisk) writeConfs(o AsteriskOptions) error {
	s := settings{
		AsteriskOptions: o, Dir: a.dir, Modules: a.tools.Modules, Password: a.Password,
		SIPPort: a.sip.first, HTTPPort: a.sip.first + 1,
		FirstRTP: a.rtp.first, LastRTP: a.rtp.first + a.rtp.n - 1,
		Patience: int(math.Ceil(o.Patience.Seconds())), Stay: o.Stay.Seconds(),
		Log: LogArrival, CauseIVR: CauseIVR, CauseAgents: CauseAgents,
	}
	for _, t := range confTemplates.Templates() {
		var text strings.Builder
		if err := t.Execute(&text, s); err != nil {
			return fmt.Errorf("fill %s: %w", t.Name(), err)
		}
		if err := os.WriteFile(filepath.Join(a.dir, "etc", t.Name()), []byte(text.String()), 0o600); err != nil {
			return err
		}
	}
	for _, name := range emptyConfs {
		if err := os.WriteFile(filepath.Join(a.dir, "etc", name+".conf"), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeProduct puts the files of deploy/asterisk where an operator would.
func (a *Asterisk) writeProduct() error {
	return fs.WalkDir(product.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := product.Files.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(a.dir, "etc/deflectd", path)
		if lang, name, ok := strings.Cut(strings.TrimPrefix(path, "sounds/"), "/"); ok {
			to = filepath.Join(a.dir, "data/sounds", lang, "deflectd", name)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o600)
	})
}

// Sounds every lab Asterisk has: tones of known length.
const (
	SoundSecond = "sound:lab/second" // one second
	SoundMinute = "sound:lab/minute" // sixty seconds
)

func (a *Asterisk) writeSounds(more string) error {
	en := filepath.Join(a.dir, "data/sounds/en")
	for name, length := range map[string]time.Duration{"second": time.Second, "minute": time.Minute} {
		if err := os.WriteFile(filepath.Join(en, "lab", name+".wav"), tone(length), 0o600); err != nil {
			return err
		}
	}
	if more == "" {
		return nil
	}
	return os.CopyFS(en, os.DirFS(more))
}

// tone is a WAV file of a quiet 440 Hz tone: 8 kHz, mono, 16 bits.
func tone(length time.Duration) []byte {
	const rate = 8000
	samples := make([]int16, int(length.Seconds()*rate))
	for i := range samples {
		samples[i] = int16(4000 * math.Sin(2*math.Pi*440*float64(i)/rate))
	}
	size := uint32(2 * len(samples)) //nolint:gosec // a minute is less than 1 MB
	wav := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, 36+size)...)
	wav = append(wav, "WAVEfmt "...)
	for _, field := range []any{uint32(16), uint16(1), uint16(1), uint32(rate), uint32(2 * rate), uint16(2), uint16(16)} {
		wav, _ = binary.Append(wav, binary.LittleEndian, field) // these types cannot fail
	}
	wav = append(wav, "data"...)
	wav = binary.LittleEndian.AppendUint32(wav, size)
	wav, _ = binary.Append(wav, binary.LittleEndian, samples)
	return wav
}
