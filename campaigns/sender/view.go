package sender

import (
	"slices"
	"strings"

	"deflectd/campaigns/phone"
)

// view is all that is known of the senders at one time. It is never changed.
type view struct {
	read       bool   // it is what the store holds; else nothing is known yet
	configured string // "" also where it was released
	numbers    []candidate
	byCountry  map[string][]candidate
	released   map[string]struct{} // or about to be; without "+"
	own        map[string]struct{} // numbers that texts come from, without "+"
}

// candidate is an obtained number that texts may come from.
type candidate struct {
	id   string
	hash uint64
}

// unread makes the view of before the store was read: there is nothing that texts
// may come from.
func (s *Senders) unread() *view {
	v := s.build(stored{})
	v.read, v.configured = false, ""
	return v
}

// build makes a view of what is stored.
func (s *Senders) build(st stored) *view {
	v := &view{
		read:      true,
		byCountry: make(map[string][]candidate),
		released:  make(map[string]struct{}, len(st.released)),
		own:       make(map[string]struct{}, len(st.senders)+1),
	}
	for _, id := range st.released {
		v.released[plain(id)] = struct{}{}
	}
	for number, p := range st.pending {
		if p.kind == releasing {
			v.released[plain(number)] = struct{}{}
		}
	}
	if s.o.Configured != "" && !v.isReleased(s.o.Configured) {
		v.configured = s.o.Configured
		if !isName(v.configured) {
			v.own[plain(v.configured)] = struct{}{}
		}
	}
	for _, one := range st.senders {
		v.own[plain(one.ID)] = struct{}{}
		if v.isReleased(one.ID) || !slices.Contains(one.Features, FeatureSMS) {
			continue
		}
		c := candidate{id: one.ID, hash: hash(one.ID)}
		v.numbers = append(v.numbers, c)
		v.byCountry[one.Country] = append(v.byCountry[one.Country], c)
	}
	return v
}

// count is how many senders there are for campaigns that name none.
func (v *view) count() int {
	n := len(v.numbers)
	if v.configured != "" && !slices.ContainsFunc(v.numbers, func(c candidate) bool { return same(c.id, v.configured) }) {
		n++
	}
	return n
}

// isReleased tells whether nothing may come from a sender any more.
func (v *view) isReleased(id string) bool {
	if len(v.released) == 0 {
		return false
	}
	_, released := v.released[plain(id)]
	return released
}

// number is the obtained number that a recipient gets texts from; "" where
// there is none.
func (v *view) number(to phone.Number) string {
	if len(v.numbers) == 0 {
		return ""
	}
	if near := v.byCountry[to.Region]; len(near) > 0 {
		return pick(near, to.E164)
	}
	return pick(v.numbers, to.E164)
}

// pick chooses by highest random weight: a person is texted from the same
// number for as long as it is there, whatever others come and go.
func pick(from []candidate, e164 string) string {
	if len(from) == 1 {
		return from[0].id
	}
	person := hash(e164)
	best, id := uint64(0), ""
	for _, c := range from {
		if w := mix(c.hash ^ person); id == "" || w > best {
			best, id = w, c.id
		}
	}
	return id
}

// hash is FNV-1a with 64 bits.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix spreads every bit over all of them (the finalizer of SplitMix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// plain is a number as it is compared: with and without "+" it is the same.
func plain(id string) string { return strings.TrimPrefix(id, "+") }

func same(a, b string) bool { return plain(a) == plain(b) }

// isName tells a name from a number.
func isName(id string) bool {
	for i := range len(id) {
		if c := id[i] | 0x20; c >= 'a' && c <= 'z' {
			return true
		}
	}
	return false
}
