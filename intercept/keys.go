package intercept

import "deflectd/campaigns"

// choice is what a caller answers to the offer.
type choice int

const (
	undecided choice = iota
	accepts
	declines
	optsOut // and never wants to be texted again
)

// personKey must reach a person wherever it means nothing else.
const personKey = "0"

// choose says what a key means. Any other key is ignored: it neither ends the
// prompt nor costs an attempt.
func choose(o *campaigns.Offer, key string) choice {
	switch key {
	case "":
		return undecided
	case o.Accept:
		return accepts
	case o.OptOut:
		return optsOut
	case o.Decline, personKey:
		return declines
	default:
		return undecided
	}
}

// keySteps say in a record what a key meant.
var keySteps = map[choice]string{accepts: "accept", declines: "decline", optsOut: "opt_out"}

// press notes a key of the caller: the first that decides counts, whenever it
// was pressed. What is typed on after it, an extension perhaps, answers no offer.
func (c *call) press(key string) {
	if c.campaign == nil || c.choice != undecided {
		return
	}
	if c.choice = choose(&c.campaign.Offer, key); c.choice != undecided {
		c.step("key", keySteps[c.choice])
	}
}
