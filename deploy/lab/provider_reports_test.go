package lab

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A text may be taken though the answer says otherwise, or says nothing.
func TestProviderTakesWhateverItAnswers(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.Choose(func(text TextRequest) Behaviour {
		switch text.Reference {
		case "taken, 500":
			return Taking(Breaks(500))
		case "taken, hung up":
			return Taking(HangsUp())
		case "hung up":
			return HangsUp()
		default:
			return Behaviour{}
		}
	})
	for reference, want := range map[string]struct {
		status int
		taken  bool
	}{"taken, 500": {500, true}, "taken, hung up": {0, true}, "hung up": {0, false}, "fine": {201, true}} {
		status, _, _, err := post(t.Context(), p, strings.Replace(aText, `"m1"`, `"`+reference+`"`, 1))
		require.Equal(t, want.status == 0, err != nil)
		require.Equal(t, want.status, status)
		requests := p.Requests()
		last := requests[len(requests)-1]
		require.Equal(t, []any{reference, want.taken, want.taken}, []any{last.Reference, last.Taken, last.ID != ""})
	}
	require.Len(t, p.Texts(), 1)
}

// Reports come in the order of their times, as often as planned, and again
// until they are answered with 200.
func TestProviderReportsByItself(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.URL.Query().Get("status"))
		if len(got) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer webhook.Close()
	p := startProvider(t)
	p.ReportBy(t.Context(), func(text TextRequest) []PlannedReport {
		require.NotEmpty(t, text.ID)
		return []PlannedReport{
			{DeliveryReport: DeliveryReport{Status: "sent"}, After: 2 * time.Second},
			{DeliveryReport: DeliveryReport{Status: "delivered"}, Times: 2},
		}
	})
	p.Then(Taking(HangsUp()), Breaks(503))
	body := strings.Replace(aText, "%URL%", webhook.URL, 1)
	for range 2 {
		_, _, _, _ = post(t.Context(), p, body)
	}
	require.Eventually(t, func() bool { return len(p.Requests()) == 2 && p.ReportsOpen() == 0 }, time.Minute, 5*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, got, 4, "one not answered with 200, a doubled one, and one")
	require.Equal(t, "delivered", got[0])
	require.Equal(t, 1, len(slices.DeleteFunc(got, func(s string) bool { return s != "sent" })))
}

// A provider that is stopped reports nothing any more.
func TestProviderStopsWhileItReports(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.ReportBy(t.Context(), func(TextRequest) []PlannedReport {
		return []PlannedReport{{DeliveryReport: DeliveryReport{Status: "sent"}}, {After: time.Hour}}
	})
	_, _, _, err := post(t.Context(), p, strings.Replace(aText, "%URL%", "http://127.0.0.1:1/", 1))
	require.NoError(t, err)
	require.Equal(t, 2, p.ReportsOpen())
	require.NoError(t, p.Stop())
	require.Zero(t, p.ReportsOpen())
}
