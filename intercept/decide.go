package intercept

import (
	"slices"

	"deflectd/campaigns"
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
	own       bool  // the caller's number is one of ours
	abroad    bool  // texts may not go to the caller's country

	serviceOff   bool
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

// decide says whether a call is intercepted, and if not, why. The gate is asked
// afterwards, and only for a call that nothing else speaks against: so the share
// of calls that it takes is a share of those.
//
// Several reasons may hold at once and one is recorded, so the order is chosen
// for the figures to be true: first what makes the call none of ours, for the
// calls that remain are the ones every rate is a share of; then what holds for
// this caller at any time; and last what holds at this moment, what lasts
// longest first. So "overload" counts exactly the texts that overload cost: a
// withheld number that calls in a busy minute would not have been texted in a
// quiet one either.
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
	case f.own:
		return verdict{report.Passed, report.ANIOwnNumber}
	case f.abroad:
		return verdict{report.Passed, report.CountryNotAllowed}

	case f.serviceOff:
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
	region    string   // how a number without + is read
	countries []string // where texts may go
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
	if !n.withheld && n.callerErr == nil {
		f.own = r.directory.Own(n.caller.E164)
		f.abroad = !slices.Contains(r.countries, n.caller.Region)
	}
	return f
}
