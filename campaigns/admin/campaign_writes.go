package admin

import (
	"context"
	"errors"

	"deflectd/campaigns"
)

// patchTries is how often a change is merged anew because others change the
// same campaign at the same time.
const patchTries = 10

// current reads the campaign a write is about, as it was written, and what the
// write is on top of.
func (s *server) current(ctx context.Context, id, ifMatch string) (*campaigns.Campaign, campaigns.Write, error) {
	if err := needIfMatch(ifMatch); err != nil {
		return nil, campaigns.Write{}, err
	}
	c, err := s.Campaigns.Written(ctx, id)
	if err != nil {
		return nil, campaigns.Write{}, err
	}
	version, err := precondition(ifMatch, c.Version)
	return c, campaigns.Write{Version: version, By: tokenName(ctx)}, err
}

func (s *server) replaceCampaign(ctx context.Context, in *struct {
	CampaignID
	IfMatch
	Body campaignBody
},
) (*campaignAnswer, error) {
	now, write, err := s.current(ctx, in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	return s.replace(ctx, in.Body.document, now, write)
}

func (s *server) patchCampaign(ctx context.Context, in *struct {
	CampaignID
	IfMatch
	Body map[string]any `contentType:"application/merge-patch+json"`
},
) (*campaignAnswer, error) {
	for try := 1; ; try++ {
		now, write, err := s.current(ctx, in.ID, in.Version)
		if err != nil {
			return nil, err
		}
		changed, err := patched(now, in.Body)
		if err != nil {
			return nil, err
		}
		// Also where any version is meant, the one that was read: what another
		// has changed since is not to be lost.
		write.Version = now.Version
		out, err := s.replace(ctx, changed, now, write)
		if !errors.Is(err, campaigns.ErrStale) || try == patchTries {
			return out, err
		}
	}
}

// replace puts what somebody wrote in the place of the campaign that is there
// now.
func (s *server) replace(ctx context.Context, document any, now *campaigns.Campaign, write campaigns.Write) (*campaignAnswer, error) {
	c, err := s.written(document, now)
	if err != nil {
		return nil, err
	}
	if c.ID != now.ID {
		return nil, invalid(inBody("/id", "must be "+now.ID+", as in the address: an id never changes"))
	}
	if err := s.Campaigns.Replace(ctx, c, write); err != nil {
		return nil, conflict(err, c)
	}
	return s.answerOf(ctx, c), nil
}

func (s *server) deleteCampaign(ctx context.Context, in *struct {
	CampaignID
	IfMatch
},
) (*struct{}, error) {
	_, write, err := s.current(ctx, in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	return nil, s.Campaigns.Delete(ctx, in.ID, write)
}

func (s *server) restoreCampaign(ctx context.Context, in *struct {
	CampaignID
	IfMatch
},
) (*campaignAnswer, error) {
	if err := needIfMatch(in.Version); err != nil {
		return nil, err
	}
	// The newest version is the one that deleted it.
	latest, _, err := s.Campaigns.History(ctx, in.ID, 0, 1)
	if err != nil {
		return nil, err
	}
	if len(latest) == 0 {
		return nil, campaigns.ErrNotFound
	}
	version, err := precondition(in.Version, latest[0].Version)
	if err != nil {
		return nil, err
	}
	c, err := s.Campaigns.Restore(ctx, in.ID, campaigns.Write{Version: version, By: tokenName(ctx)})
	if err != nil {
		return nil, conflict(err, new(campaigns.Campaign))
	}
	return s.answerOf(ctx, c), nil
}
