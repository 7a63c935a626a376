package message

import "deflectd/campaigns"

// arrows are all changes of state that may ever be seen in a history.
var arrows = map[State][]State{
	Queued:   {Sending, Cancelled, Expired, Accepted, Failed, Unknown},
	Sending:  {Accepted, Failed, Queued, Unknown},
	Accepted: {Delivered, Failed, Expired},
	Unknown:  {Accepted, Delivered, Failed, Expired, Queued},
}

// model is a message as the scripts should treat it.
type model struct {
	state     State
	holder    string
	attempts  int
	list      bool
	withdrawn bool   // not to be sent any more, where it is not out
	late      bool   // its time is over
	resend    bool   // to be sent once more where nobody knows what became of it
	doubted   bool   // unknown, and that will happen
	resent    bool   // it has happened
	counted   bool   // against the limits, and known to be
	inLimits  bool   // what the limits of the person say
	inTotals  bool   // what those of all say
	provider  string // the provider's id
	opted     bool   // the person has opted out
	learnt    bool   // the provider has said so
	suppress  bool   // the provider has said that texts to the number will go on failing
	known     bool   // whom it goes to is known by pseudonym
	released  bool   // its sender was
	forgotten bool
	external  bool   // another gateway sends it
	took      bool   // the provider has
	settled   string // by whom, at which attempt, to what
	ended     string // by whom it was found not to be sent
	returned  string // by whom it was given back
}

// unsent is the end of a message that does not go out.
func (m *model) unsent(s State) {
	if m.resent {
		s = Unknown
	} else if m.counted {
		m.counted, m.inTotals = false, false
		if m.known {
			m.inLimits = false
		}
	}
	m.state = s
}

// ends forgets by the pseudonym who was forgotten, when nothing more will be said
// of the message.
func (m *model) ends() {
	if m.forgotten && m.state.Final() {
		m.known, m.counted = false, false
	}
}

// unknown is what happens to one that has just become so.
func (m *model) unknown() {
	m.state, m.doubted = Unknown, m.resend && !m.withdrawn && !m.late
}

// counts is what it counts as in the figures of its campaign.
func (m *model) counts() campaigns.Texts {
	t := campaigns.Texts{Days: 7}
	switch m.state {
	case Unknown:
		t.Unknown = 1
	case Failed, Expired:
		t.Failed = 1
	case Delivered:
		t.Delivered = 1
	default:
	}
	if m.took {
		t.Sent = 1
	}
	return t
}

func (m *model) queue() bool { return m.state == Queued || m.state == Sending }
