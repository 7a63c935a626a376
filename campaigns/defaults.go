package campaigns

import (
	"slices"
	"time"

	"deflectd/campaigns/phone"
)

// The words of a campaign's fields.
const (
	KindService   = "service"   // a text that answers what the caller asked for
	KindMarketing = "marketing" // one that advertises: only at the hours for that, and it says how to opt out

	CallerIDPlain = "plain" // the caller's number is in the interaction URL
	CallerIDNone  = "none"  // it is not

	OnUnknownDrop   = "drop"        // a text whose fate is unknown is not sent again
	OnUnknownResend = "resend_once" // it is, once, where no delivery report came

	// The kinds of line a text may go to.
	LineMobile  = string(phone.Mobile)
	LineFixed   = string(phone.Fixed)
	LineVoIP    = string(phone.VoIP)
	LineUnknown = string(phone.Unknown)
	LineOther   = string(phone.Other)

	ModeAsk  = "ask"  // the caller presses a key for the text
	ModeSend = "send" // the text is sent without asking

	ActionHangup   = "hangup"
	ActionTransfer = "transfer"

	WaitQueued   = "queued"   // durable in the outbox
	WaitAccepted = "accepted" // taken by the provider
)

// Defaults of what a campaign does not say.
const (
	defaultCallerIDParam = "callerId"
	defaultValidity      = Duration(15 * time.Minute)
	defaultExpiry        = Duration(72 * time.Hour)
	defaultPrompt        = "sound:deflectd/offer"
	defaultAccept        = "1"
	defaultDecline       = "2"
	defaultTimeout       = Duration(6 * time.Second)
	defaultAttempts      = 2
	defaultWait          = Duration(5 * time.Second)
)

// SetDefaults fills in what was left out.
func (c *Campaign) SetDefaults() {
	def(&c.Kind, KindService)
	def(&c.Interaction.CallerID, CallerIDPlain)
	def(&c.Interaction.CallerIDParam, defaultCallerIDParam)
	def(&c.Validity, defaultValidity)
	def(&c.OnUnknown, OnUnknownDrop)
	if c.LineTypes == nil {
		c.LineTypes = []string{LineMobile, LineUnknown}
	}
	def(&c.Link.ExpiresAfter, defaultExpiry)
	def(&c.Offer.Mode, ModeAsk)
	if c.Offer.Mode == ModeAsk {
		def(&c.Offer.Prompt, defaultPrompt)
	}
	def(&c.Offer.Accept, defaultAccept)
	def(&c.Offer.Decline, defaultDecline)
	def(&c.Offer.Timeout, defaultTimeout)
	def(&c.Offer.Attempts, defaultAttempts)
	def(&c.Release.Action, ActionHangup)
	def(&c.Release.WaitFor, WaitAccepted)
	def(&c.Release.Wait, defaultWait)
	def(&c.Release.OnTimeout, ActionTransfer)
	if c.Release.Transfer != (Transfer{}) {
		def(&c.Release.Transfer.Priority, 1)
	}
	if c.Enabled == nil {
		enabled := true
		c.Enabled = &enabled
	}
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Takes tells whether the campaign's text goes to lines of this kind.
func (c *Campaign) Takes(line phone.Line) bool {
	if c.LineTypes == nil {
		return line == phone.Mobile || line == phone.Unknown
	}
	return slices.Contains(c.LineTypes, string(line))
}

// IsEnabled tells whether calls to its numbers are intercepted.
func (c *Campaign) IsEnabled() bool {
	return c.Enabled == nil || *c.Enabled
}
