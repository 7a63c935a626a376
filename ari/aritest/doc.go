// Package aritest is a simulated Asterisk for tests: a real HTTP server and
// websocket on the loopback interface that speak the Asterisk REST Interface
// (ARI) as Asterisk 22 does, with callers the test controls and faults on
// demand.
//
//	srv := aritest.New()
//	defer srv.Close()
//	// … connect a client to srv.URL with srv.Username and srv.Password …
//	call := srv.Call(aritest.Caller{Number: "+4917612345", DNIS: "+18005550100"})
//	err := call.WaitAnswered(ctx)
//	call.Press("1")
//	call.Hangup()
//
// It is kept honest by the conformance suite of package ari, whose scenarios
// run against this server and against a real Asterisk alike.
//
// # What it imitates
//
// A call runs through a tiny dialplan, the one of the sample configuration: it
// enters Stasis with the arguments dnis, ani, pres and rdnis; when the
// application is not connected, or lets the call go, it is in the context "ivr"
// with the variable STASISSTATUS set. If DEFLECTD_TRANSFER then names a target
// that the test has allowed, the call is there instead. A dead man's switch
// (TIMEOUT(absolute)) takes a call back after 45 s, with PlaybackFinished
// (failed) and StasisEnd and no hangup request.
//
// Within Stasis each channel has one thread that carries out its commands one
// after the other, as Asterisk's does. So setting a variable and answering wait
// for the end of a playback; continue is accepted at once but happens only when
// everything queued is done; stopping a playback and hanging up act at once; and
// what is still queued when the caller has gone is dropped without an event.
//
// A playback ends "done" when it was heard or stopped and "failed" when the
// caller hung up, the sound is missing or the dead man's switch struck. A medium
// with an unsupported scheme is reported as started and never as finished. The
// id of a playback may be used twice.
//
// Applications exist while a websocket or a channel holds them; a second
// websocket takes the application over and the first gets ApplicationReplaced
// (if its event filter lets it through) and then nothing, without being closed.
// The event filter applies to every event and lives as long as the application.
//
// # What it does not imitate
//
// Media, SIP and codecs; bridges, recordings, endpoints, device states,
// originating calls; REST over the websocket, outbound websockets and
// StasisBroadcast; subscriptions to other event sources (subscribeAll); language
// and skip options of playbacks; the dialplan language. A keypress is always
// understood. Freezing stops what is sent and read on the network; the calls
// inside go on, and what they had to say is delivered on Thaw.
package aritest
