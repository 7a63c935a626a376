package config

import "log/slog"

// masked is what is shown of a secret that is set.
const masked = "[secret]"

// Secret is a text that is never shown: printing, logging or encoding it
// gives "[secret]", or "" where it is empty. Reveal gives the text.
type Secret string

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret from fmt.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString hides the secret from fmt's %#v.
func (s Secret) GoString() string { return `config.Secret("` + s.String() + `")` }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
