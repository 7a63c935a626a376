package phone

import (
	"slices"
	"strings"
)

// Spellings are the other ways in which a trunk in region may write a dialled
// number given in canonical form: without "+", with an international prefix, as
// a national number. None of them stands for another number (see DNIS). A short
// number has no other spellings.
func Spellings(dnis, region string) []string {
	digits, plus := strings.CutPrefix(dnis, "+")
	if !plus || strings.Trim(digits, "0123456789") != "" {
		return nil
	}
	candidates := []string{digits, "00" + digits} // ITU-T E.164 recommends 00
	if build := diallings[region]; build != nil {
		if d := build(); d != nil {
			candidates = append(candidates, d.idd.usual+digits)
			if national, domestic := strings.CutPrefix(digits, d.plan.code); domestic {
				candidates = append(candidates, national, d.trunk.usual+national)
			}
		}
	}
	slices.Sort(candidates)
	return slices.DeleteFunc(slices.Compact(candidates), func(s string) bool {
		canonical, err := DNIS(s, region)
		return err == nil && canonical != dnis
	})
}
