package intercept

import (
	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
)

// facts is all that the decision about a call rests on.
type facts struct {
	// known is false while the campaigns have never been read.
	known    bool
	campaign *campaigns.Campaign // nil: none answers the number dialled

	forwarded bool
	withheld  bool
	callerErr error // the caller's number is not one
	// forbidden is why the number may not be texted whatever has been before: it
	// is ours, of another country, of the wrong kind of line. refused is why it
	// may not be after all that has been: that takes a request, so it is known
	// only of a call that nothing else speaks against.
	forbidden, refused guard.Refusal

	serviceOff   bool // it is switched off
	senderless   bool // there is nothing that the campaign's text could come from
	draining     bool
	storeDown    bool // it is known that Redis does not answer
	providerDown bool // and the campaign waits for the provider
}

// verdict is what the decision is: the zero verdict intercepts the call, any
// other lets it go.
type verdict struct {
	outcome report.Outcome
	reason  report.Reason
}

var intercepted verdict

// decide says whether a call is intercepted, and if not, why.
//
// Several reasons may hold at once and one is recorded, so the order is chosen
// for the figures to be true: first what makes the call none of ours, for the
// calls that remain are the ones every rate is a share of; then what holds for
// this caller at any time; then what holds for this caller by what has been,
// which the guards put in order; and last what holds at this moment, what lasts
// longest first. So "overload" counts exactly the texts that overload cost: a
// withheld number that calls in a busy minute would not have been texted in a
// quiet one either, nor would one that was texted an hour ago.
//
// What takes a request is asked only of a call that all else speaks for, the
// presentation before the history, and then decided on again. So no request is
// made for a call that would go on anyway, and while the service is off or the
// provider away, that is what is recorded, also of a caller whom a guard would
// have refused: it is one cause for all calls of that time, and no rate is read
// from them. The gate is asked last, when even the guards have let the call
// pass: so the share of calls that it takes is a share of those that would be
// offered a text.
func decide(f *facts) verdict {
	switch {
	case !f.known:
		return verdict{report.Failed, report.StoreDown}
	case f.campaign == nil:
		return verdict{report.Passed, report.NoCampaign}
	case !f.campaign.IsEnabled():
		return verdict{report.Passed, report.CampaignDisabled}

	// A forwarded call comes first: whatever its number says, it need not be
	// the caller's.
	case f.forwarded:
		return verdict{report.Passed, report.ANIForwarded}
	case f.withheld:
		return verdict{report.Passed, report.ANIWithheld}
	case f.callerErr != nil:
		return verdict{report.Passed, report.ANIInvalid}
	case !f.forbidden.None():
		return verdict{report.Passed, report.Reason(f.forbidden.Reason)}
	case !f.refused.None():
		return verdict{report.Passed, report.Reason(f.refused.Reason)}

	case f.serviceOff, f.senderless:
		return verdict{report.Passed, report.ServiceOff}
	case f.draining:
		return verdict{report.Passed, report.ShuttingDown}
	// Nobody is offered what they then do not get.
	case f.storeDown:
		return verdict{report.Failed, report.StoreDown}
	case f.providerDown:
		return verdict{report.Failed, report.ProviderDown}
	default:
		return intercepted
	}
}

// rules are what calls are judged by: the same for all of them.
type rules struct {
	directory Directory
	guards    Guards
	senders   Senders // nil: not looked at
	region    string  // how a number without + is read
}

// numbers are the numbers of a call, read.
type numbers struct {
	dialled   string // as it was given: the directory knows how to read it
	caller    phone.Number
	callerErr error
	withheld  bool
	forwarded bool
}

// read makes numbers of what the call says of itself.
func (r *rules) read(id *identity) numbers {
	n := numbers{
		dialled:   id.dnis,
		forwarded: id.rdnis != "",
		withheld:  prohibited(id.presentation) || phone.Withheld(id.ani),
	}
	if !n.withheld {
		n.caller, n.callerErr = phone.Parse(id.ani, r.region)
	}
	return n
}

// look gathers what is known of a call by its numbers.
func (r *rules) look(n *numbers) facts {
	f := facts{
		known:      r.directory.Ready(),
		campaign:   r.directory.Lookup(n.dialled),
		forwarded:  n.forwarded,
		withheld:   n.withheld,
		callerErr:  n.callerErr,
		serviceOff: !r.directory.ServiceOn(),
	}
	f.senderless = f.campaign != nil && r.senders != nil && !r.senders.Sends(f.campaign)
	if !n.withheld && n.callerErr == nil {
		f.forbidden = r.guards.Permit(f.campaign, n.caller)
	}
	return f
}
