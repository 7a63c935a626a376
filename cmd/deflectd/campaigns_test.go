package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/admin/client"
)

const twoCampaigns = `campaigns:
  - id: billing
    name: Billing questions
    dnis: [+18005550101]
    interaction:
      id: pay-a-bill
      url: https://visual.example.com/start?interaction={interaction_id}
      params: {lang: "en", yes: "no"}
    text: "Acme: pay here {link}"
    limits: {cooldown: 0s, per_day: 0}
  - id: support
    enabled: false
    dnis: ["(800) 555-0102", "1800*"]
    interaction: {url: "https://visual.example.com/help"}
    text: "Acme: help {link}"
    offer: {mode: send, timeout: 9s}
`

func TestApplyCreatesChangesAndDeletes(t *testing.T) {
	b := newBench(t)
	path := file(t, twoCampaigns)

	// First it only shows what it would do.
	s := b.does("", "apply", path, "--dry-run").exits(exitDone)
	require.Contains(t, s.stdout, "+ billing: create\n")
	require.Contains(t, s.stdout, `    interaction.params.yes: "no"`)
	require.Contains(t, s.stdout, "To do: 2 to create, 0 unchanged.\n")
	require.Empty(t, b.versions())

	s = b.does("", "apply", path, "--yes").exits(exitDone)
	require.Contains(t, s.stdout, "billing: created\nsupport: created\nDone: 2 created, 0 unchanged.\n")
	require.Equal(t, map[string]int64{"billing": 1, "support": 1}, b.versions())

	// The same once more is nothing, also where it is written otherwise.
	s = b.does("", "apply", path).exits(exitDone)
	require.Equal(t, "Nothing to change: 2 unchanged.\n", s.stdout)
	s = b.does("", "apply", file(t, strings.NewReplacer("(800) 555-0102", "+18005550102", "enabled: false", "enabled: false\n    validity: 15m").Replace(twoCampaigns))).exits(exitDone)
	require.Equal(t, "Nothing to change: 2 unchanged.\n", s.stdout)
	require.Equal(t, map[string]int64{"billing": 1, "support": 1}, b.versions())

	// One is changed, and one is no longer in the file.
	one, _, _ := strings.Cut(twoCampaigns, "  - id: support")
	changed := file(t, strings.Replace(one, "pay here", "pay your bill here", 1))
	s = b.does("", "apply", changed, "--yes").exits(exitDone)
	require.Contains(t, s.stdout, "~ billing: change\n    text: \"Acme: pay here {link}\" → \"Acme: pay your bill here {link}\"\n")
	require.Contains(t, s.stdout, "left as they are (--prune deletes them): support\n")
	require.Equal(t, map[string]int64{"billing": 2, "support": 1}, b.versions())
	s = b.does("", "apply", changed, "--yes", "--prune").exits(exitDone)
	require.Contains(t, s.stdout, "- support: delete\n")
	require.Contains(t, s.stdout, "Done: 1 deleted, 1 unchanged.\n")
	require.Equal(t, map[string]int64{"billing": 2}, b.versions())

	// It is known who did it, and it can be taken back.
	history, err := b.api.History(t.Context(), "support", "", 0)
	require.NoError(t, err)
	require.Equal(t, "pipeline", history.Items[0].By)
	require.Equal(t, campaigns.Deleted, history.Items[0].Action)

	// From the standard input, and as JSON, which is YAML.
	body, err := json.Marshal(map[string]any{"campaigns": []any{}})
	require.NoError(t, err)
	s = b.does(string(body), "apply", "-", "--yes", "--prune").exits(exitDone)
	require.Contains(t, s.stdout, "billing: deleted\n")
	require.Empty(t, b.versions())
}

func TestExportIsTheSameBytesAndChangesNothing(t *testing.T) {
	b := newBench(t)
	empty := b.does("", "export").exits(exitDone)
	require.Equal(t, fileHead+"campaigns: []\n", empty.stdout)

	b.does("", "apply", file(t, twoCampaigns), "--yes").exits(exitDone)
	s := b.does("", "export").exits(exitDone)
	require.Equal(t, fileHead+`campaigns:
  - id: billing
    name: Billing questions
    dnis:
      - "+18005550101"
    interaction:
      id: pay-a-bill
      url: https://visual.example.com/start?interaction={interaction_id}
      params:
        lang: en
        "yes": "no"
    text: 'Acme: pay here {link}'
    limits:
      cooldown: 0s
      per_day: 0
  - id: support
    enabled: false
    dnis:
      - "+18005550102"
      - 1800*
    interaction:
      url: https://visual.example.com/help
    text: 'Acme: help {link}'
    offer:
      mode: send
      timeout: 9s
`, s.stdout)
	require.Equal(t, s.stdout, b.does("", "export").exits(exitDone).stdout)

	same := b.does("", "apply", file(t, s.stdout), "--prune").exits(exitDone)
	require.Equal(t, "Nothing to change: 2 unchanged.\n", same.stdout)
	require.Equal(t, map[string]int64{"billing": 1, "support": 1}, b.versions())

	// What is exported makes the same campaigns elsewhere.
	other := newBench(t)
	other.does("", "apply", file(t, s.stdout), "--yes").exits(exitDone)
	require.Equal(t, s.stdout, other.does("", "export").exits(exitDone).stdout)

	list := b.does("", "list").exits(exitDone)
	require.Equal(t, "ID       ON   NUMBERS             NAME\n"+
		"billing  on   +18005550101        Billing questions\n"+
		"support  off  +18005550102 1800*  \n", list.stdout)
	require.NotContains(t, b.does("", "list", "-q", "help").exits(exitDone).stdout, "billing")
}

// What is wrong is said before anything is written, with the line.
func TestApplyChecksEverythingFirst(t *testing.T) {
	b := newBench(t)
	path := file(t, strings.NewReplacer("{link}\"\n    limits", "{linc}\"\n    limits", "timeout: 9s", "timeout: 9h").Replace(twoCampaigns))
	s := b.does("", "apply", path, "--yes").exits(exitWrong)
	require.Contains(t, s.stderr, path+":9: campaigns[0].text: ")
	require.Contains(t, s.stderr, path+":16: campaigns[1].offer.timeout: is 9h; it must be")
	require.Empty(t, b.versions())

	// Two cannot have one number, whether both are in the file or not.
	b.does("", "apply", file(t, twoCampaigns), "--yes").exits(exitDone)
	path = file(t, `campaigns:
  - {id: third, dnis: [+18005550101], interaction: {url: "https://example.com"}, text: "{link}"}
`)
	s = b.does("", "apply", path, "--yes").exits(exitWrong)
	require.Contains(t, s.stderr, "warning: third: /originator: the name Acme does not arrive in US")
	require.True(t, strings.HasSuffix(s.stderr, "\n"+path+":2: campaigns[0].dnis[0]: +18005550101 is answered by campaign billing\n"), s.stderr)
	require.Equal(t, 1, strings.Count(s.stderr, "answered by"))
	path = file(t, strings.Replace(twoCampaigns, "(800) 555-0102", "800-555-0101", 1))
	s = b.does("", "apply", path, "--yes").exits(exitWrong)
	require.Contains(t, s.stderr, path+":13: campaigns[1].dnis[0]: +18005550101 is answered by campaign billing")
	require.Equal(t, map[string]int64{"billing": 1, "support": 1}, b.versions())
}

func TestApplyMovesNumbersBetweenCampaigns(t *testing.T) {
	b := newBench(t)
	line := func(id, dnis string) string {
		return `  - {id: ` + id + `, dnis: [` + dnis + `], interaction: {url: "https://example.com"}, text: "{link}"}` + "\n"
	}
	b.does("", "apply", file(t, "campaigns:\n"+line("a", "+18005550101")+line("b", "+18005550102")+line("c", "+18005550103")), "--yes").exits(exitDone)

	// Each takes the number of the next one, the last one a free one.
	s := b.does("", "apply", file(t, "campaigns:\n"+line("a", "+18005550102")+line("b", "+18005550103")+line("c", "+18005550104")), "--yes").exits(exitDone)
	require.Contains(t, s.stdout, "c: changed\nb: changed\na: changed\nDone: 3 changed, 0 unchanged.\n")

	// A campaign gets another id: the old one goes before the new one comes.
	s = b.does("", "apply", file(t, "campaigns:\n"+line("a", "+18005550102")+line("b", "+18005550103")+line("d", "+18005550104")), "--yes", "--prune").exits(exitDone)
	require.Contains(t, s.stdout, "c: deleted\nd: created\n")

	// In a circle nobody can begin: nothing is written.
	before := b.versions()
	s = b.does("", "apply", file(t, "campaigns:\n"+line("a", "+18005550103")+line("b", "+18005550102")), "--yes").exits(exitWrong)
	require.Contains(t, s.stderr, "campaigns[0].dnis[0]: +18005550103 is still answered by campaign b")
	require.Equal(t, before, b.versions())
}

func TestApplyAsksAtATerminalAlone(t *testing.T) {
	b := newBench(t)
	path := file(t, twoCampaigns)
	s := b.does("", "apply", path).exits(exitWrong)
	require.Contains(t, s.stderr, "give --yes to apply this")
	require.Empty(t, b.versions())
	for _, no := range []string{"\n", "n\n", "nope\n", "\x04"} {
		s = b.does(no, "apply", path).exits(exitFailed)
		require.Contains(t, s.stdout, "Apply this? [y/N] ")
		require.Contains(t, s.stderr, "\ndeflectd: nothing was done\n")
	}
	require.Empty(t, b.versions())
	b.does("y\n", "apply", path).exits(exitDone)
	require.Len(t, b.versions(), 2)
}

// An error ends it, and says how far it came; the next run goes on from there.
func TestApplyGoesOnWhereItStopped(t *testing.T) {
	b := newBench(t)
	path := file(t, twoCampaigns)
	writes := 0
	b.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/campaigns" {
			return true
		}
		if writes++; writes == 1 {
			return true
		}
		w.WriteHeader(http.StatusBadGateway)
		return false
	})
	s := b.does("", "apply", path, "--yes").exits(exitFailed)
	require.Contains(t, s.stdout, "billing: created\n")
	require.Contains(t, s.stderr, "create support: create a campaign: the answer (502 Bad Gateway) is not one of deflectd's API\n"+
		"Not known: support\nDone: billing\nNot done: nothing\n")
	require.Equal(t, map[string]int64{"billing": 1}, b.versions())
	b.on(nil)
	s = b.does("", "apply", path, "--yes").exits(exitDone)
	require.Contains(t, s.stdout, "Done: 1 created, 1 unchanged.\n")

	// Somebody else is faster: what they wrote is not lost.
	changed := file(t, strings.NewReplacer("pay here", "pay now", "help {link}", "get help {link}").Replace(twoCampaigns))
	b.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/billing") {
			b.on(nil)
			_, err := b.api.PatchCampaign(t.Context(), "billing", map[string]any{"name": "Bills"}, client.Any)
			require.NoError(t, err)
		}
		return true
	})
	s = b.does("", "apply", changed, "--yes").exits(exitFailed)
	require.Contains(t, s.stderr, "change billing: somebody else has changed it meanwhile\nDone: nothing\nNot done: billing, support\n")
	require.Equal(t, map[string]int64{"billing": 2, "support": 1}, b.versions())
	s = b.does("", "apply", changed, "--yes").exits(exitDone)
	require.Contains(t, s.stdout, `name: "Bills" → "Billing questions"`)
	require.Equal(t, map[string]int64{"billing": 3, "support": 2}, b.versions())
}

func TestCampaignsNeedTheAPI(t *testing.T) {
	b := newBench(t)
	secret := file(t, benchToken+"\n")
	tests := []struct {
		name   string
		env    map[string]string
		args   []string
		code   int
		stderr string
	}{
		{"no token", nil, []string{"list", "--url", b.url}, exitWrong, "a token is needed"},
		{"a token in a file", nil, []string{"list", "--url", b.url, "--token-file", secret}, exitDone, ""},
		{"a file that is not there", nil, []string{"list", "--token-file", "/nowhere"}, exitWrong, "/nowhere: no such file"},
		{"an empty file", nil, []string{"list", "--token-file", "/dev/null"}, exitWrong, "is empty"},
		{"two tokens", map[string]string{"DEFLECTD_TOKEN": "x"}, []string{"list", "--token-file", secret}, exitWrong, "give one of them"},
		{"a wrong token", nil, []string{"list", "--url", b.url, "--token", "dfl_wrong"}, exitFailed, "the token is not known"},
		{"no address", nil, []string{"list", "--url", "localhost:8080", "--token", "x"}, exitWrong, "--url must be the address"},
		{"nobody there", nil, []string{"list", "--url", "http://127.0.0.1:1", "--token", "x"}, exitFailed, "connection refused"},
		{"another program", nil, []string{"list", "--url", b.url + "/elsewhere", "--token", benchToken}, exitFailed, ""},
		{"a viewer", nil, []string{"apply", file(t, twoCampaigns), "--yes", "--url", b.url, "--token", "dfl_look"}, exitFailed, "editor"},
		{"no file", nil, []string{"apply", "--url", b.url, "--token", "x"}, exitWrong, `expected "<file>"`},
		{"a file of campaigns that is not there", nil, []string{"apply", "/nowhere.yaml", "--url", b.url, "--token", "x"}, exitWrong, "/nowhere.yaml: cannot be read: no such file or directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"DEFLECTD_URL", "DEFLECTD_TOKEN", "DEFLECTD_TOKEN_FILE"} {
				t.Setenv(name, "")
				require.NoError(t, os.Unsetenv(name))
			}
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			s := b.doesAs("", test.args...).exits(test.code)
			require.Contains(t, s.stderr, test.stderr)
		})
	}
	require.Empty(t, b.versions())
}

// A newer daemon may say what this program would lose in writing it back.
func TestCampaignsOfANewerDaemonAreNotRead(t *testing.T) {
	b := newBench(t)
	b.on(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write([]byte(`{"items":[{"id":"billing","mood":"sunny"}],"total":1}`))
		require.NoError(t, err)
		return false
	})
	s := b.does("", "export").exits(exitFailed)
	require.Contains(t, s.stderr, `"mood"`)
	require.Contains(t, s.stderr, "the daemon is newer than this program")
	require.Empty(t, s.stdout)
}

// A terminal does what it reads: nothing of a campaign may tell it to.
func TestNothingOfACampaignReachesTheTerminalAsItIs(t *testing.T) {
	b := newBench(t)
	_, err := b.api.CreateCampaign(t.Context(), map[string]any{
		"id": "odd", "dnis": []string{"*"}, "name": "a\u202eb", "text": "x {link}",
		"interaction": map[string]any{"url": "https://example.com"},
	}, "")
	require.NoError(t, err)
	s := b.does("", "list").exits(exitDone)
	require.Contains(t, s.stdout, "ab\n")
	s = b.does("", "apply", file(t, `campaigns: [{id: odd, dnis: ["*"], text: "plain {link}", interaction: {url: "https://example.com"}}]`), "--dry-run").exits(exitDone)
	require.Contains(t, s.stdout, `name: "a\u202eb" is gone`)
	require.NotContains(t, s.stdout, "\u202e")
}
