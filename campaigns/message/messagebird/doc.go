// Package messagebird sends texts through the MessageBird REST API, as its Go
// library speaks it, and takes what MessageBird tells of them: delivery reports,
// and the texts that people send back.
//
// # Webhooks
//
// Both arrive on the public listener:
//
//	GET  {public.url}/webhooks/messagebird/report/{token}    a delivery report
//	POST {public.url}/webhooks/messagebird/inbound/{token}   a text from a person
//
// The address for delivery reports goes along with every text, and nothing has
// to be set for it. The one for inbound texts is shown by GET /v1/senders, and is
// entered at MessageBird for each number that people may answer to, exactly as
// it is shown. Its token stays the same for as long as the service secret in
// Redis does.
//
// A request is genuine if it carries the token that belongs there (that of a
// delivery report is another for every text), or, where a signing key is
// configured, if it is signed with that key (header MessageBird-Signature-JWT).
// MessageBird does not sign all delivery reports: one without a signature is
// taken with the right token. A text from a person is not, where there is a
// signing key: its token, which is the same for all of them, is for installations
// without one. A signature that is there must be right, else the request is
// refused, with the right token too. Without a signing key nothing can be said
// about signatures: the token decides.
//
// What is signed is the public address with its query. It is made of public.url,
// never of what a proxy says in Host or X-Forwarded headers: a proxy in front
// may change those, but neither the path below public.url nor the query. Where
// signatures are refused for the address ("why" is "address" in the log),
// public.url is not what was entered at MessageBird; where they are refused for
// the time, one of the clocks is wrong by more than 10 seconds. A signed request
// is taken once; its repetition is refused.
//
// Answers: 200 to whatever is genuine, also where it says nothing new or nothing
// that is known, for MessageBird repeats a request until then; 401 to what is
// not genuine; 413 and 414 to what is longer than anything MessageBird sends;
// 503 with Retry-After while Redis is away, and then nothing was taken. The
// counters deflectd_messagebird_reports_total and
// deflectd_messagebird_inbound_total say what became of each request.
package messagebird
