package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// version is set by the release build with -ldflags "-X main.version=…"; any
// other build says what Go recorded of itself.
var version string

// revision is the commit the program was built from, "" if Go did not record it.
var revision string

func init() {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	version, revision = describeBuild(version, build)
}

// describeBuild completes the version and reads the revision, marked where it
// had changes that are not committed.
func describeBuild(version string, build *debug.BuildInfo) (string, string) {
	if version == "" {
		version = build.Main.Version
	}
	if version == "" || version == "(devel)" {
		version = "devel"
	}
	recorded := map[string]string{}
	for _, s := range build.Settings {
		recorded[s.Key] = s.Value
	}
	revision := recorded["vcs.revision"]
	revision = revision[:min(len(revision), 12)]
	if revision != "" && recorded["vcs.modified"] == "true" {
		revision += "+changes"
	}
	return version, revision
}

// buildInfo is deflectd_build_info: always 1, what runs is in its labels.
func buildInfo() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "deflectd_build_info",
		Help:        "What this deflectd was built from; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}

type versionCommand struct{}

// Run prints the version on one line.
func (versionCommand) Run(p *process) error {
	from := ""
	if revision != "" {
		from = revision + ", "
	}
	_, err := fmt.Fprintf(p.stdout, "deflectd %s (%s%s %s/%s)\n", version, from, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
