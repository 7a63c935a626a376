// Package lab starts real programs on loopback for as long as a test, the demo
// or the benchmark needs them: Asterisk, Redis, SIP callers (SIPp), and a
// stand-in for the REST API of MessageBird. Everything listens on free ports of
// 127.0.0.1, keeps its files in a folder the caller names, needs neither root
// nor chroot, and dies with the process that started it.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Tools are the programs the lab runs, as Find found them.
type Tools struct {
	Asterisk []string // the command: the binary, or a loader with the binary to load
	Modules  string   // folder of Asterisk's modules
	Data     string   // folder with Asterisk's documentation/ and rest-api/
	Redis    string   // redis-server
	SIPp     string   // sipp
}

// Find looks for the programs on PATH (and in the usual sbin folders), and for
// Asterisk also where `make deps` unpacks it. The error names everything that
// is missing and how to get it; the fields of what was found are set all the
// same.
func Find() (Tools, error) {
	var t Tools
	var errs [3]error
	t.Redis, errs[0] = findProgram("redis-server")
	t.SIPp, errs[1] = findProgram("sipp")
	errs[2] = t.findAsterisk()
	return t, errors.Join(errs[:]...)
}

// Cache is the folder Asterisk is unpacked into where the system has none:
// $XDG_CACHE_HOME/deflectd/asterisk, by default below ~/.cache.
func Cache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(dir, "deflectd", "asterisk"), nil
}

func findProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", missing(name)
}

func missing(name string) error {
	return fmt.Errorf("%s is not installed: run `make deps`", name)
}

// findAsterisk fills Asterisk, Modules and Data. An unpacked root is of another
// Debian release than the one it runs on, so its own loader and libraries are
// used, and nothing of it has to be installed.
func (t *Tools) findAsterisk() error {
	if binary, err := findProgram("asterisk"); err == nil {
		t.Asterisk = []string{binary}
		return t.findAsteriskFolders("")
	}
	root, err := Cache()
	if err != nil {
		return err
	}
	loader, err := glob(root+"/usr/lib/*-linux-gnu/ld-linux-*.so.*", root+"/lib/*-linux-gnu/ld-linux-*.so.*")
	if err != nil {
		return missing("asterisk")
	}
	binary := filepath.Join(root, "usr/sbin/asterisk")
	if _, err := os.Stat(binary); err != nil {
		return missing("asterisk")
	}
	t.Asterisk = []string{loader, "--library-path", filepath.Dir(loader), binary}
	return t.findAsteriskFolders(root)
}

func (t *Tools) findAsteriskFolders(root string) error {
	var errModules, errData error
	t.Modules, errModules = glob(
		root+"/usr/lib/*-linux-gnu/asterisk/modules/res_ari.so",
		root+"/usr/lib/asterisk/modules/res_ari.so",
		root+"/usr/lib64/asterisk/modules/res_ari.so",
		root+"/usr/local/lib/asterisk/modules/res_ari.so",
	)
	t.Data, errData = glob(
		root+"/usr/share/asterisk/rest-api",
		root+"/var/lib/asterisk/rest-api",
		root+"/usr/local/share/asterisk/rest-api",
	)
	if err := errors.Join(errModules, errData); err != nil {
		return fmt.Errorf("%s lacks its modules or data: %w", t.Asterisk[len(t.Asterisk)-1], err)
	}
	t.Modules, t.Data = filepath.Dir(t.Modules), filepath.Dir(t.Data)
	return nil
}

// glob returns the first path that matches one of the patterns.
func glob(patterns ...string) (string, error) {
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("look for %s: %w", pattern, err)
		}
		if len(paths) > 0 {
			return paths[0], nil
		}
	}
	return "", fmt.Errorf("no %s", patterns[0])
}
