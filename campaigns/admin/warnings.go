package admin

import (
	"context"
	"strings"
	"time"

	"deflectd/campaigns"
)

// textDays is of how many days a campaign shows its texts.
const textDays = 7

// soundWait bounds how long it is asked whether a campaign's prompts are there.
const soundWait = 2 * time.Second

// warnings adds to those of a campaign's text what else can be saved and may not
// be meant. The campaign has its defaults.
func (s *server) warnings(ctx context.Context, c *campaigns.Campaign, all []campaigns.Problem) []campaigns.Problem {
	if !s.Senders.Sends(c) {
		all = append(all, campaigns.Problem{
			Pointer: "/originator", Message: "there is no sender its texts could come from: name one, configure one, or obtain a number (/v1/senders)",
		})
	}
	return append(all, s.unknownSounds(ctx, c)...)
}

// unknownSounds names the prompts that no Asterisk has which is connected. Where
// none can be asked nothing is said.
func (s *server) unknownSounds(ctx context.Context, c *campaigns.Campaign) (wrong []campaigns.Problem) {
	if s.Sounds == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, soundWait)
	defer cancel()
	for _, prompt := range []struct{ pointer, media string }{
		{"/offer/prompt", c.Offer.Prompt},
		{"/prompts/sent", c.Prompts.Sent},
		{"/prompts/failed", c.Prompts.Failed},
		{"/prompts/opted_out", c.Prompts.OptedOut},
	} {
		for media := range strings.SplitSeq(prompt.media, ",") {
			name, ok := strings.CutPrefix(media, "sound:")
			if !ok || name == "" {
				continue // nothing, or no prompt that could be saved
			}
			if known, err := s.Sounds(ctx, name); err == nil && !known {
				wrong = append(wrong, campaigns.Problem{Pointer: prompt.pointer, Message: "no Asterisk that is connected has a sound " + name +
					": put the file among its sounds, or name another one"})
			}
		}
	}
	return wrong
}

// addTexts shows what became of the texts of campaigns lately. Where that cannot
// be said just now, it is left out: the campaigns are worth more.
func (s *server) addTexts(ctx context.Context, all ...*campaigns.Campaign) {
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.ID
	}
	recent, err := s.Outbox.Recent(ctx, ids, textDays)
	if err != nil {
		s.Logger.WarnContext(ctx, "campaigns are shown without their texts", "error", err)
		return
	}
	for _, c := range all {
		if texts, ok := recent[c.ID]; ok {
			c.Texts = &texts
		}
	}
}
