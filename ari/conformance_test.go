package ari_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/ari/aritest"
	"deflectd/deploy/lab"
)

// Two sounds that both switchboards have.
const (
	second = lab.SoundSecond
	minute = lab.SoundMinute
)

// dialplan is what the scenarios need beside the product's own: calls to 7… enter
// the application twice, and "quiet" does not answer.
const dialplan = `
[conformance]
exten => _[+0-9]!,1,Goto(deflectd,${EXTEN},1)
exten => _7X!,1,NoOp()
 same => n,Stasis(deflectd,dnis=${EXTEN})
 same => n,Stasis(deflectd,dnis=${EXTEN})
 same => n,Goto(ivr,${EXTEN},1)
exten => T,1,Goto(ivr,0,1)

[quiet]
exten => _[+0-9]!,1,NoOp()
 same => n,Wait(60)
`

// quiet is a transfer target that exists.
const quiet = "quiet,18005550100,1"

// TestConformance runs every scenario against the simulated Asterisk and against
// a real one. Where they differ, the simulation is wrong.
func TestConformance(t *testing.T) {
	t.Run("simulated", func(t *testing.T) {
		t.Parallel()
		conform(t, simulated(t))
	})
	t.Run("asterisk", func(t *testing.T) {
		t.Parallel()
		conform(t, realAsterisk(t))
	})
}

func conform(t *testing.T, sw switchboard) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { s.run(newRig(t, sw)) })
	}
}

func simulated(t *testing.T) switchboard {
	srv := aritest.New()
	t.Cleanup(srv.Close)
	srv.AddSound("lab/second", time.Second)
	srv.AddSound("lab/minute", time.Minute)
	srv.AllowTransfer(quiet)
	return switchboard{
		url: srv.URL, username: srv.Username, password: srv.Password,
		dial: func(_ *testing.T, c caller) phone {
			who := aritest.Caller{Number: c.number, Name: c.name, DNIS: c.dnis, RDNIS: c.rdnis}
			if c.dnis[0] == '7' {
				who.Args, who.Again = []string{"dnis=" + c.dnis}, 1
			}
			return simulatedPhone{srv.Call(who)}
		},
		restart: func(t *testing.T) { require.NoError(t, srv.Restart()) },
		freeze:  func(*testing.T) { srv.Freeze() },
		thaw:    func(*testing.T) { srv.Thaw() },
	}
}

func realAsterisk(t *testing.T) switchboard {
	ast, err := lab.StartAsterisk(t.Context(), lab.AsteriskOptions{
		Dir: t.TempDir(), Dialplan: dialplan, PJSIP: "[lab](+)\ncontext = conformance\n", Stay: time.Minute,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(ast.Logs())
		}
		require.NoError(t, ast.Stop())
	})
	return switchboard{
		url: ast.ARIURL, username: ast.Username, password: ast.Password,
		dial: func(t *testing.T, c caller) phone {
			if c.name != "" {
				c.name = fmt.Sprintf("%q", c.name)
			}
			p, err := dialSIP(ast.SIPAddr, c)
			require.NoError(t, err)
			return p
		},
		restart: func(t *testing.T) {
			require.NoError(t, ast.Kill())
			require.NoError(t, ast.Restart(t.Context()))
		},
		freeze: func(t *testing.T) { require.NoError(t, ast.Freeze()) },
		thaw:   func(t *testing.T) { require.NoError(t, ast.Thaw()) },
	}
}

// simulatedPhone is a phone on the simulated Asterisk.
type simulatedPhone struct{ call *aritest.Call }

func (p simulatedPhone) press(key string) { p.call.Press(key) }
func (p simulatedPhone) hangup()          { p.call.Hangup() }
func (p simulatedPhone) close()           { p.call.Hangup() }

func (p simulatedPhone) waitAnswered(ctx context.Context) error { return p.call.WaitAnswered(ctx) }

func (p simulatedPhone) waitEnded(ctx context.Context) error {
	return p.call.WaitPlace(ctx, aritest.Gone)
}
