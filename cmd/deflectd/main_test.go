package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"deflectd/config"
)

// run executes one command line and returns what it wrote.
func run(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, &process{environ: environ, stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	t.Setenv("DEFLECTD_CONFIG", "")
	tests := []struct {
		name           string
		args           []string
		environ        []string
		code           int
		stdout, stderr string // what is among the output
	}{
		{"help", []string{"--help"}, nil, exitDone, "Exit codes: 0 done; 1 failed; 2 wrong usage", ""},
		{"help of a command", []string{"serve", "--help"}, nil, exitDone, "deflectd serve --config deflectd.yaml", ""},
		{"no command", nil, nil, exitWrong, "", "expected one of"},
		{"unknown command", []string{"srve"}, nil, exitWrong, "", `did you mean "serve"?`},
		{"unknown flag", []string{"serve", "--port", "1"}, nil, exitWrong, "", "unknown flag --port"},
		{"flag without its value", []string{"check", "--config"}, nil, exitWrong, "", "--config"},
		{"version", []string{"version"}, nil, exitDone, "deflectd " + version + " (", ""},
		{"token", []string{"token"}, nil, exitDone, `{name: "ops", role: admin, hash: "sha256:`, ""},
		{"token with a role that is not there", []string{"token", "--role", "owner"}, nil, exitWrong, "", "--role must be one of"},
		{"serve without a file", []string{"serve", "--config", "/nowhere.yaml"}, nil, exitWrong, "", "/nowhere.yaml: cannot be read: no such file or directory"},
		{"serve with a wrong file", []string{"serve", "-c", "../../config/testdata/wrong-later.yaml"}, nil, exitWrong, "", "wrong-later.yaml:4: asterisk.nats: is not available yet"},
		{"check with a wrong file", []string{"check", "-c", "../../config/testdata/wrong-syntax.yaml"}, nil, exitWrong, "", "wrong-syntax.yaml:2: is not YAML"},
		{"a variable of another command", []string{"check", "-c", "../../config/testdata/wrong-list.yaml"}, []string{"DEFLECTD_TOKEN=x"}, exitWrong, "", "wrong-list.yaml:1: must hold settings"},
		{"a wrong variable", []string{"check"}, []string{"DEFLECTD_REDDIS_URL=x"}, exitWrong, "", "DEFLECTD_REDDIS_URL: unknown variable; was DEFLECTD_REDIS_URL meant?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := run(t, test.environ, test.args...)
			require.Equal(t, test.code, code, stderr)
			require.Contains(t, stdout, test.stdout)
			require.Contains(t, stderr, test.stderr)
			if code == exitDone {
				require.Empty(t, stderr)
			}
		})
	}
}

func TestConfigFromTheEnvironment(t *testing.T) {
	t.Setenv("DEFLECTD_CONFIG", "../../config/testdata/wrong-list.yaml")
	code, _, stderr := run(t, []string{"DEFLECTD_CONFIG=../../config/testdata/wrong-list.yaml"}, "check")
	require.Equal(t, exitWrong, code)
	require.Contains(t, stderr, "wrong-list.yaml:1: must hold settings")
}

func TestDefaultFileIsSkippedOnlyWhereThereIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deflectd.yaml")
	require.Empty(t, ifThere(file))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Equal(t, file, ifThere(file))

	// It cannot be told whether there is one: that is an error, here and where
	// the folder may not be looked into.
	inFile := filepath.Join(file, "deflectd.yaml")
	require.Equal(t, inFile, ifThere(inFile))
	_, err := config.Load(ifThere(inFile), nil)
	require.ErrorContains(t, err, "cannot be read: not a directory")
}

// The token that is printed is the one whose hash is printed.
func TestTokenMatchesItsHash(t *testing.T) {
	_, stdout, _ := run(t, nil, "token", "--name", "alice")
	var secret, hash string
	for word := range strings.FieldsSeq(stdout) {
		switch {
		case strings.HasPrefix(word, "dfl_"):
			secret = word
		case strings.HasPrefix(word, `"sha256:`):
			hash = strings.Trim(word, `"}`)
		}
	}
	require.True(t, config.Token{Hash: config.Secret(hash)}.Matches(secret), stdout)
	require.Contains(t, stdout, `name: "alice"`)
}

func TestExitCode(t *testing.T) {
	var stderr bytes.Buffer
	require.Equal(t, exitFailed, exitCode(errors.New("the admin listener: address in use"), &stderr))
	require.Equal(t, "deflectd: the admin listener: address in use\n", stderr.String())
	require.Equal(t, exitFailed, exitCode(errCheckFailed, io.Discard))
	require.Equal(t, exitWrong, exitCode(&config.Error{}, io.Discard))
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	newLogger(config.Log{Level: "warn", Format: "json"}, &out).Info("not shown")
	newLogger(config.Log{Level: "warn", Format: "json"}, &out).Warn("shown", "call", "abc")
	require.Contains(t, out.String(), `"level":"WARN","msg":"shown","call":"abc"}`)
	require.NotContains(t, out.String(), "not shown")

	out.Reset()
	logger := newLogger(config.Log{Level: "debug", Format: "text"}, &out)
	redisLogger{logger}.Printf(t.Context(), "pool: %d left", 3)
	require.Contains(t, out.String(), `level=DEBUG msg="redis client" said="pool: 3 left"`)
	require.True(t, logger.Enabled(t.Context(), slog.LevelDebug))
}

func TestDescribeBuild(t *testing.T) {
	git := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: modified}}
	}
	tests := []struct {
		linked            string
		build             debug.BuildInfo
		version, revision string
	}{
		{"", debug.BuildInfo{}, "devel", ""},
		{"", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: git("true")}, "devel", "0123456789ab+changes"},
		{"", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: git("false")}, "v1.2.3", "0123456789ab"},
		{"v2.0.0", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v2.0.0", ""},
	}
	for _, test := range tests {
		v, r := describeBuild(test.linked, &test.build)
		require.Equal(t, []string{test.version, test.revision}, []string{v, r})
	}
	require.InEpsilon(t, 1.0, testutil.ToFloat64(buildInfo()), 0)
}
