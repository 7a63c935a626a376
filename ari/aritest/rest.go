package aritest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxBody is more than any ARI request has.
const maxBody = 1 << 20

// parameters are those of the query, a form or a JSON body: Asterisk takes each
// from any of them.
type parameters struct {
	query url.Values
	body  []byte
	json  map[string]json.RawMessage
}

// route is one handler with the parameters of its request read.
type route func(w http.ResponseWriter, r *http.Request, p parameters)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for path, methods := range map[string]map[string]struct {
		verb Verb
		run  route
	}{
		"/ari/asterisk/info":     {"GET": {VerbInfo, s.info}},
		"/ari/asterisk/variable": {"GET": {VerbGetGlobal, s.getGlobal}, "POST": {VerbSetGlobal, s.setGlobal}},
		"/ari/applications":      {"GET": {VerbApplications, s.listApplications}},
		"/ari/applications/{id}": {"GET": {VerbApplication, s.getApplication}},
		"/ari/applications/{id}/eventFilter": {
			"PUT": {VerbFilter, s.putFilter},
		},
		"/ari/channels":               {"GET": {VerbListChannels, s.listChannels}},
		"/ari/channels/{id}":          {"GET": {VerbChannel, s.getChannel}, "DELETE": {VerbHangup, s.deleteChannel}},
		"/ari/channels/{id}/answer":   {"POST": {VerbAnswer, s.answer}},
		"/ari/channels/{id}/continue": {"POST": {VerbContinue, s.continueCall}},
		"/ari/channels/{id}/play":     {"POST": {VerbPlay, s.play}},
		"/ari/channels/{id}/play/{playback}": {
			"POST": {VerbPlay, s.play},
		},
		"/ari/channels/{id}/variable": {"GET": {VerbGet, s.getVariable}, "POST": {VerbSet, s.setVariable}},
		"/ari/playbacks/{id}":         {"GET": {VerbPlayback, s.getPlayback}, "DELETE": {VerbStop, s.stopPlayback}},
		"/ari/sounds/{id}":            {"GET": {VerbSound, s.getSound}},
		"/ari/events/user/{name}":     {"POST": {VerbUserEvent, s.userEvent}},
	} {
		for method, h := range methods {
			mux.Handle(method+" "+path, s.broken(h.verb, s.read(h.run)))
		}
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusMethodNotAllowed, "Invalid method")
		})
	}
	mux.Handle("GET /ari/events", s.broken(VerbConnect, s.events))
	mux.HandleFunc("/ari/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "Resource not found")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "Asterisk/22.10.1")
		if !s.authorised(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Asterisk REST Interface"`)
			refuse(w, http.StatusUnauthorized, "Authentication required")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// read reads the parameters of a request. The whole body is read before
// anything else happens: only then does net/http notice that a client has gone.
func (s *Server) read(next route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := parameters{query: r.URL.Query()}
		if r.ContentLength != 0 {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
			if err != nil {
				refuse(w, http.StatusBadRequest, "Error parsing request body")
				return
			}
			p.body = bytes.TrimSpace(body)
		}
		switch {
		case len(p.body) == 0:
		case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
			form, err := url.ParseQuery(string(p.body))
			if err != nil {
				refuse(w, http.StatusBadRequest, "Error parsing request body")
				return
			}
			for k, v := range form {
				p.query[k] = append(p.query[k], v...)
			}
		case !json.Valid(p.body):
			refuse(w, http.StatusBadRequest, "Error parsing request body")
			return
		default:
			// A body that is no object has no parameters.
			_ = json.Unmarshal(p.body, &p.json)
		}
		next(w, r, p)
	}
}

// get returns a parameter, or nil if it was not given.
func (p parameters) get(name string) *string {
	if v, ok := p.query[name]; ok {
		return &v[0]
	}
	raw, ok := p.json[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	return &text
}

// text returns a parameter, or "" if it was not given.
func (p parameters) text(name string) string {
	if v := p.get(name); v != nil {
		return *v
	}
	return ""
}

// list returns a parameter that may be given several times, as a JSON list or
// with commas.
func (p parameters) list(name string) []string {
	var all []string
	for _, v := range p.query[name] {
		all = append(all, strings.Split(v, ",")...)
	}
	if raw, ok := p.json[name]; ok {
		var items []string
		if json.Unmarshal(raw, &items) != nil {
			items = strings.Split(p.text(name), ",")
		}
		all = append(all, items...)
	}
	return all
}

func reply(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic("aritest: marshalling an answer: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Header().Set("Cache-Control", "no-cache, no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func refuse(w http.ResponseWriter, status int, message string) {
	reply(w, status, wireMessage{message})
}

func (s *Server) info(w http.ResponseWriter, _ *http.Request, _ parameters) {
	s.mu.Lock()
	started := wireTime(s.started)
	s.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{
		"build":  map[string]string{"os": "Linux", "kernel": "unknown", "machine": "unknown", "options": "", "date": "", "user": "nobody"},
		"system": map[string]string{"version": "22.10.1", "entity_id": asteriskID},
		"config": map[string]any{
			"name": "", "default_language": "en", "max_open_files": 20000,
			"setid": map[string]string{"user": "", "group": ""},
		},
		"status": map[string]any{"startup_time": started, "last_reload_time": started},
	})
}

func (s *Server) getGlobal(w http.ResponseWriter, _ *http.Request, p parameters) {
	name := p.text("variable")
	if name == "" {
		refuse(w, http.StatusBadRequest, "Variable name is required")
		return
	}
	reply(w, http.StatusOK, wireValue{s.Global(name)})
}

func (s *Server) setGlobal(w http.ResponseWriter, _ *http.Request, p parameters) {
	name := p.text("variable")
	if name == "" {
		refuse(w, http.StatusBadRequest, "Variable name is required")
		return
	}
	s.mu.Lock()
	s.globals[name] = p.text("value")
	s.mu.Unlock()
	reply(w, http.StatusNoContent, nil)
}

func (s *Server) listApplications(w http.ResponseWriter, _ *http.Request, _ parameters) {
	s.mu.Lock()
	all := make([]wireApplication, 0, len(s.apps))
	for _, a := range s.apps {
		all = append(all, a.wire())
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, all)
}

// withApplication runs do with the application of the path, under the lock.
func (s *Server) withApplication(w http.ResponseWriter, name string, do func(*application) (int, any)) {
	s.mu.Lock()
	a := s.apps[name]
	if a == nil {
		s.mu.Unlock()
		refuse(w, http.StatusNotFound, "Application not found")
		return
	}
	status, body := do(a)
	s.mu.Unlock()
	reply(w, status, body)
}

func (s *Server) getApplication(w http.ResponseWriter, r *http.Request, _ parameters) {
	s.withApplication(w, r.PathValue("id"), func(a *application) (int, any) { return http.StatusOK, a.wire() })
}

func (s *Server) putFilter(w http.ResponseWriter, r *http.Request, p parameters) {
	s.withApplication(w, r.PathValue("id"), func(a *application) (int, any) {
		if !a.setFilter(p.body) {
			return http.StatusBadRequest, wireMessage{"Invalid format definition"}
		}
		return http.StatusOK, a.wire()
	})
}

func (s *Server) getSound(w http.ResponseWriter, r *http.Request, _ parameters) {
	id := r.PathValue("id")
	s.mu.Lock()
	_, ok := s.sounds[id]
	s.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "Sound not found")
		return
	}
	reply(w, http.StatusOK, wireSound{id, []wireFormat{{"en", "ulaw"}}})
}

func (s *Server) userEvent(w http.ResponseWriter, r *http.Request, p parameters) {
	name := p.text("application")
	if name == "" {
		refuse(w, http.StatusBadRequest, "Missing parameter application")
		return
	}
	s.withApplication(w, name, func(a *application) (int, any) {
		content := map[string]any{}
		if raw, ok := p.json["variables"]; ok {
			_ = json.Unmarshal(raw, &content)
		}
		content["eventname"] = r.PathValue("name")
		raw, err := json.Marshal(content)
		if err != nil {
			return http.StatusBadRequest, wireMessage{err.Error()}
		}
		s.send(a, event{Type: "ChannelUserevent", EventName: r.PathValue("name"), UserEvent: raw})
		return http.StatusNoContent, nil
	})
}
