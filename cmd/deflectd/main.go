// Command deflectd offers callers of an Asterisk a text with a link instead of
// the queue.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"

	"deflectd/config"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitWrong  = 2 // wrong usage or wrong configuration
)

// defaultConfig is read where no file is named and this one is there.
const defaultConfig = "/etc/deflectd/deflectd.yaml"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks to stop. From then on signals do what they do to
	// any program, so that a second one ends it at once.
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:], &process{
		environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	}))
}

// process is what a command has of the world around it.
type process struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	attended       bool // somebody answers on stdin, though it is no terminal
}

type commandLine struct {
	Serve     serveCommand     `cmd:"" help:"Run the daemon."`
	Check     checkCommand     `cmd:"" help:"Validate the configuration and try to reach every service named in it."`
	Campaigns campaignsCommand `cmd:"" help:"List the campaigns, write them to a file, or make them what a file says."`
	Token     tokenCommand     `cmd:"" help:"Make an API token, and print it once with the hash that goes into the configuration."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, p *process) int {
	helped := false
	parser, err := kong.New(&commandLine{},
		kong.Name("deflectd"),
		kong.Description("Offers callers of an Asterisk a text with a link instead of the queue.\n\n"+
			"Exit codes: 0 done; 1 failed; 2 wrong usage or wrong configuration."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }), // after --help, which then goes on as if it had not been there
		kong.Bind(p),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintln(p.stderr, "deflectd:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	switch {
	case helped:
		return exitDone
	case err != nil:
		fmt.Fprintf(p.stderr, "deflectd: %v\nTry: deflectd --help\n", err)
		return exitWrong
	}
	return exitCode(command.Run(), p.stderr)
}

// exitCode says on stderr what went wrong, if anything did.
func exitCode(err error, stderr io.Writer) int {
	var wrong *config.Error
	var misused *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, wrong)
		return exitWrong
	case errors.As(err, &misused):
		fmt.Fprintln(stderr, "deflectd:", misused)
		return exitWrong
	case errors.Is(err, errCheckFailed): // the report has said it all
		return exitFailed
	default:
		fmt.Fprintln(stderr, "deflectd:", err)
		return exitFailed
	}
}

// configFlag is how a command is told its configuration.
type configFlag struct {
	Config string `short:"c" env:"DEFLECTD_CONFIG" placeholder:"FILE" help:"The configuration file. Without it, /etc/deflectd/deflectd.yaml if there is one, else the environment alone."`
}

func (f configFlag) load(p *process) (*config.Config, error) {
	path := f.Config
	if path == "" {
		path = ifThere(defaultConfig)
	}
	return config.Load(path, p.environ)
}

// ifThere is path, or "" where there is no such file. One that is there and
// cannot be read is not passed over: whoever wrote it means it.
func ifThere(path string) string {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

type serveCommand struct{ configFlag }

// Help is shown by --help.
func (serveCommand) Help() string {
	return `SIGTERM and SIGINT stop it in good order: no more calls are taken, those under
way are finished or go on in the dialplan. A second signal ends it at once.

Every setting can be given as an environment variable: DEFLECTD_ and its path
in capitals with underscores. Secrets can come from files: KEY_file, or
DEFLECTD_…_FILE. An unknown key or variable is an error.

Examples:

    deflectd serve --config deflectd.yaml
    DEFLECTD_REDIS_URL=redis://redis:6379/0 DEFLECTD_LOG_LEVEL=debug deflectd serve`
}

// Run runs the daemon until a signal comes or a part of it fails.
func (c serveCommand) Run(ctx context.Context, p *process) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	logger := newLogger(cfg.Log, p.stderr)
	// Libraries log through these two, which are process-wide.
	slog.SetDefault(logger)
	redis.SetLogger(redisLogger{logger})
	for _, w := range cfg.Warnings() {
		logger.Warn("look at this setting", "setting", w.Key, "why", w.Message)
	}
	logger.Debug("configuration", "config", cfg)
	return Run(ctx, cfg, logger, nil)
}

// newLogger logs as configured, which config has checked.
func newLogger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// redisLogger takes what go-redis would print. It repeats errors that the
// caller gets too, so it is for debugging.
type redisLogger struct{ logger *slog.Logger }

// Printf implements the interface of go-redis.
func (l redisLogger) Printf(ctx context.Context, format string, v ...any) {
	l.logger.DebugContext(ctx, "redis client", "said", fmt.Sprintf(format, v...))
}
