// Package asterisk holds the files an operator's Asterisk includes: the
// dialplan, the settings of ARI, HTTP and the SIP trunk, the list of modules,
// and the default prompts. README.md says how each is used; the demo and the
// tests use them as they are.
package asterisk

import "embed"

// Files are the configuration files and, below sounds/LANGUAGE, the prompts.
//
//go:embed *.conf sounds/*/*.wav
var Files embed.FS
