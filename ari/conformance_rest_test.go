package ari_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The fields of what ARI tells, as paths; "channel" stands for channelFields.
const (
	channelFields = "accountcode caller.name caller.number caller_rdnis connected.name connected.number creationtime " +
		"dialplan.app_data dialplan.app_name dialplan.context dialplan.exten dialplan.priority " +
		"id language name protocol_id state"
	common         = "application asterisk_id timestamp type"
	playbackFields = "playback.id playback.language playback.media_uri playback.state playback.target_uri"
)

// fields are those of each event of a forwarded call.
var fields = map[string]string{
	"StasisStart":          common + " args channel",
	"ChannelStateChange":   common + " channel",
	"ChannelDtmfReceived":  common + " channel digit duration_ms",
	"ChannelVarset":        common + " channel value variable",
	"PlaybackStarted":      common + " " + playbackFields + " playback.next_media_uri",
	"PlaybackContinuing":   common + " " + playbackFields + " playback.next_media_uri",
	"PlaybackFinished":     common + " " + playbackFields,
	"ChannelHangupRequest": common + " cause channel soft",
	"StasisEnd":            common + " channel",
	"ChannelUserevent":     common + " eventname userevent.a userevent.eventname",
	"ApplicationReplaced":  common,
}

// paths lists the fields of a JSON object, sorted; those of a channel are put
// into one word where they are complete.
func paths(t *testing.T, raw []byte) string {
	t.Helper()
	var all []string
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			all = append(all, prefix)
			return
		}
		for name, v := range object {
			walk(strings.TrimPrefix(prefix+"."+name, "."), v)
		}
	}
	var v any
	require.NoError(t, json.Unmarshal(raw, &v), string(raw))
	walk("", v)
	slices.Sort(all)
	complete := "channel." + strings.ReplaceAll(channelFields, " ", " channel.")
	return strings.Replace(strings.Join(all, " "), complete, "channel", 1)
}

func sorted(words string) string {
	all := strings.Fields(words)
	slices.Sort(all)
	return strings.Join(all, " ")
}

func fieldsOfEvents(r *rig) {
	l := r.listen("deflectd")
	p := r.dial(caller{number: "1", name: "Ann", dnis: "18005550100", rdnis: "18005550199"})
	first := map[string]string{}
	await := func(kinds ...string) (e rawEvent) { // the first of each
		for _, kind := range kinds {
			for first[kind] == "" {
				e = r.rawEvent(l)
				require.NotEmpty(r.t, e.Type, "the websocket was closed")
				if first[e.Type] == "" {
					first[e.Type] = paths(r.t, e.raw)
				}
			}
		}
		return e
	}
	channel := "/channels/" + await("StasisStart").Channel.ID
	assert.Equal(r.t, sorted(channelFields), paths(r.t, []byte(r.ask("GET", channel, "").body)))
	require.Equal(r.t, 204, r.ask("POST", channel+"/answer", "").status)
	r.ok(p.waitAnswered)
	require.Equal(r.t, 201, r.ask("POST", channel+"/play?media=sound:none,"+second, "").status)
	await("PlaybackStarted")
	p.press("5")
	await("ChannelDtmfReceived", "PlaybackFinished")
	require.Equal(r.t, 204, r.ask("POST", channel+"/variable?variable=A&value=1", "").status)
	require.Equal(r.t, 204, r.ask("POST", "/events/user/hello?application=deflectd", `{"variables":{"a":"b"}}`).status)
	await("ChannelUserevent")
	require.Equal(r.t, 204, r.ask("DELETE", channel, "").status)
	await("StasisEnd")
	r.listen("deflectd")
	await("ApplicationReplaced")
	want := map[string]string{}
	for kind, words := range fields {
		want[kind] = sorted(words)
	}
	assert.Equal(r.t, want, first)
}

// exchanges are requests and what they must be answered with; {id} is a channel
// in the application, {ivr} one that has left it. An answer that ends in "…" need
// only begin like that.
var exchanges = []struct {
	method, path, body string
	status             int
	answer             string
}{
	{"GET", "/applications/nope", "", 404, `{"message":"Application not found"}`},
	{"PUT", "/applications/nope/eventFilter", "{}", 404, `{"message":"Application not found"}`},
	{"PUT", "/applications/deflectd/eventFilter", `{"allowed":[{"ty`, 400, `{"message":"Error parsing request body"}`},
	{"PUT", "/applications/deflectd/eventFilter", `{"allowed":["x"]}`, 400, `{"message":"Invalid format definition"}`},
	{"GET", "/channels/nope", "", 404, `{"message":"Channel not found"}`},
	{"POST", "/channels/nope/answer", "", 404, `{"message":"Channel not found"}`},
	{"POST", "/channels/nope/play?media=sound:beep", "", 404, `{"message":"Channel not found"}`},
	{"POST", "/channels/nope/continue", "", 404, `{"message":"Channel not found"}`},
	{"DELETE", "/channels/nope", "", 404, `{"message":"Channel not found"}`},
	{"POST", "/channels/nope/variable?variable=X&value=1", "", 404, `{"message":"Channel not found"}`},
	{"GET", "/channels/nope/variable?variable=X", "", 404, `{"message":"Provided channel was not found"}`},
	{"GET", "/channels/nope/variable", "", 400, `{"message":"Variable name is required"}`},
	{"GET", "/playbacks/nope", "", 404, `{"message":"Playback not found"}`},
	{"DELETE", "/playbacks/nope", "", 404, `{"message":"Playback not found"}`},
	{"GET", "/sounds/lab%2Fsecond", "", 200, `{"id":"lab/second","formats":[{…`},
	{"GET", "/sounds/no%2Fsuch", "", 404, `{"message":"Sound not found"}`},
	{"GET", "/asterisk/variable?variable=FOO", "", 200, `{"value":""}`},
	{"POST", "/asterisk/variable?variable=FOO&value=1%2C2", "", 204, ""},
	{"GET", "/asterisk/variable?variable=FOO", "", 200, `{"value":"1,2"}`},
	{"POST", "/asterisk/variable?variable=FOO", "", 204, ""},
	{"GET", "/asterisk/variable?variable=FOO", "", 200, `{"value":""}`},
	{"GET", "/asterisk/variable", "", 400, `{"message":"Variable name is required"}`},
	{"POST", "/events/user/hello?application=deflectd", `{"variables":{"a":"b"}}`, 204, ""},
	{"POST", "/events/user/hello?application=nope", "", 404, `{"message":"Application not found"}`},
	{"POST", "/events/user/hello", "", 400, `{"message":"Missing parameter application"}`},
	{"GET", "/nope", "", 404, `{"message":"Resource not found"}`},
	{"POST", "/asterisk/info", "", 405, `{"message":"Invalid method"}`},

	{"GET", "/channels/{id}", "", 200, `{"id":"{id}","name":"PJSIP/…`},
	{"GET", "/channels/{id}/variable?variable=NONE", "", 404, `{"message":"Provided variable was not found"}`},
	{"GET", "/channels/{id}/variable?variable=CALLERID(num)", "", 200, `{"value":"49171"}`},
	{"GET", "/channels/{id}/variable?variable=CALLERID(num-pres)", "", 200, `{"value":"allowed_not_screened"}`},
	{"GET", "/channels/{id}/variable?variable=NOFUNC(x)", "", 500, `{"message":"Unable to read provided function"}`},
	{"POST", "/channels/{id}/variable", "", 400, `{"message":"Variable name is required"}`},
	{"POST", "/channels/{id}/variable", `{"variable":"A","value":"body"}`, 204, ""},
	{"GET", "/channels/{id}/variable?variable=A", "", 200, `{"value":"body"}`},
	{"POST", "/channels/{id}/variable?variable=A&value=", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=A", "", 200, `{"value":""}`},
	{"POST", "/channels/{id}/variable?variable=A", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=A", "", 404, `{"message":"Provided variable was not found"}`},
	{"POST", "/channels/{id}/variable?variable=ARRAY(A,%20B)&value=1", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=A", "", 200, `{"value":"1"}`},
	{"GET", "/channels/{id}/variable?variable=B", "", 404, `{"message":"Provided variable was not found"}`},
	{"POST", "/channels/{id}/variable?variable=ARRAY(A,C)&value=%22x,y%22,say+%22%22hi%22%22", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=A", "", 200, `{"value":"x,y"}`},
	{"GET", "/channels/{id}/variable?variable=C", "", 200, `{"value":"say hi"}`},
	{"POST", "/channels/{id}/variable?variable=ARRAY(A,C)&value=a(b,c)d,[e,f]{g,h}", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=A", "", 200, `{"value":"a(b,c)d"}`},
	{"GET", "/channels/{id}/variable?variable=C", "", 200, `{"value":"[e,f]{g"}`},
	{"POST", "/channels/{id}/variable?variable=ARRAY(A,C)&value=%22a,b", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=A", "", 200, `{"value":"a,b"}`},
	{"GET", "/channels/{id}/variable?variable=C", "", 200, `{"value":""}`},
	{"POST", "/channels/{id}/variable?variable=ARRAY(A,C)&value=a%5C,b%5C%5C,)(c,d%5C", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=A", "", 200, `{"value":"a,b\\"}`},
	{"GET", "/channels/{id}/variable?variable=C", "", 200, `{"value":")(c,d"}`},
	{"POST", "/channels/{id}/variable?variable=array(A,C)&value=1,2", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=C", "", 200, `{"value":")(c,d"}`},
	{"POST", "/channels/{id}/variable?variable=NOFUNC(x)&value=1", "", 204, ""},
	{"POST", "/channels/{id}/variable?variable=__INHERITED&value=1", "", 204, ""},
	{"GET", "/channels/{id}/variable?variable=INHERITED", "", 200, `{"value":"1"}`},
	{"POST", "/channels/{id}/play", "", 500, `{"message":"Failed to queue media for playback"}`},
	{"POST", "/channels/{id}/play?media=sound:no&playbackId=x", "", 201, `{"id":"x","media_uri":"sound:no","target_uri":"channel:{id}","language":"en","state":"…`},
	{"POST", "/channels/{id}/play/y?media=sound:lab/second,sound:no", "", 201, `{"id":"y","media_uri":"sound:lab/second","next_media_uri":"sound:no","target_uri":"channel:{id}","language":"en","state":"…`},
	{"POST", "/channels/{id}/continue?label=nope", "", 404, `{"message":"Requested label can not be found"}`},
	{"DELETE", "/channels/{id}?reason=nope", "", 400, `{"message":"Invalid reason for hangup reason provided"}`},

	{"POST", "/channels/{ivr}/answer", "", 409, `{"message":"Channel not in Stasis application"}`},
	{"POST", "/channels/{ivr}/play?media=sound:beep", "", 409, `{"message":"Channel not in Stasis application"}`},
	{"POST", "/channels/{ivr}/variable?variable=A&value=1", "", 409, `{"message":"Channel not in Stasis application"}`},
	{"POST", "/channels/{ivr}/continue", "", 409, `{"message":"Channel not in Stasis application"}`},
	{"GET", "/channels/{ivr}/variable?variable=STASISSTATUS", "", 200, `{"value":"SUCCESS"}`},
	{"DELETE", "/channels/{ivr}", "", 204, ""},
	{"POST", "/channels/{id}/continue?context=nowhere&extension=1&priority=1", "", 204, ""},
}

func requests(r *rig) {
	l := r.listen("deflectd")
	r.dial(caller{number: "49170", dnis: "18005550100"})
	e, _ := r.await(l, "StasisStart")
	ivr := e.Channel.ID
	require.Equal(r.t, 204, r.ask("POST", "/channels/"+ivr+"/continue", `{"context":"","extension":"","priority":0}`).status)
	r.lands(ivr, "ivr")
	p := r.dial(caller{number: "49171", dnis: "18005550100"})
	e, _ = r.await(l, "StasisStart")
	fill := strings.NewReplacer("{id}", e.Channel.ID, "{ivr}", ivr)
	for _, x := range exchanges {
		got := r.ask(x.method, fill.Replace(x.path), x.body)
		what := x.method + " " + x.path + " " + x.body
		assert.Equal(r.t, x.status, got.status, what)
		want := fill.Replace(x.answer)
		if begin, ok := strings.CutSuffix(want, "…"); ok {
			assert.Equal(r.t, begin, got.body[:min(len(begin), len(got.body))], what)
		} else {
			assert.Equal(r.t, want, got.body, what)
		}
	}
	r.ok(p.waitEnded) // there was no such place to continue at
}

func strangers(r *rig) {
	for _, path := range []string{"/asterisk/info", "/events?app=deflectd", "/channels"} {
		for _, user := range []string{"", "nobody:x", r.sw.username + ":wrong"} {
			req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.sw.url+path, nil)
			require.NoError(r.t, err)
			req.Close = true
			if name, password, ok := strings.Cut(user, ":"); ok {
				req.SetBasicAuth(name, password)
			}
			res, err := http.DefaultClient.Do(req)
			require.NoError(r.t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(r.t, err)
			require.NoError(r.t, res.Body.Close())
			assert.Equal(r.t, http.StatusUnauthorized, res.StatusCode)
			assert.JSONEq(r.t, `{"message":"Authentication required"}`, string(body))
		}
	}
}
