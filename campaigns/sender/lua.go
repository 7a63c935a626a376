package sender

import (
	_ "embed"

	"deflectd/campaigns"
)

// Names in Redis of what says that nothing may come from a sender any more. All
// keys share one slot. What they hold, they hold by number as ID writes it.
var (
	// ReleasedKey is the sorted set of the numbers that were released and not
	// obtained again, by the time (Unix ms) of it.
	ReleasedKey = campaigns.Key("senders", "released")
	// PendingKey is the hash of what is under way with numbers. A value that
	// begins with "release " is of one that is being released: it may be gone
	// already, so it counts as released until it is known that it was not.
	PendingKey = campaigns.Key("senders", "pending")
)

//go:embed scripts/lookup.lua
var lookupLua string

// Lua is put in front of scripts that send, for the memory of a daemon learns
// of a release a moment later than Redis knows of it:
//
//	sender_released(originator) -> boolean
//
// It tells whether nothing may come from an originator any more because it was
// released or is being released. An originator is a number, with or without its
// "+", or a name, which is never released.
var Lua = "local SENDERS_RELEASED, SENDERS_PENDING = '" + ReleasedKey + "', '" + PendingKey + "'\n" + lookupLua
