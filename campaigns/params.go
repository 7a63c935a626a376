package campaigns

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// ValidateParams checks the params that one text brings in place of the
// campaign's own: each must be one that the interaction has, and is written as
// those are. The error is Invalid, with pointers such as "/params/lang".
func (c *Campaign) ValidateParams(params map[string]string) error {
	var k checker
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pointer := Pointer("params", strings.ToValidUTF8(name, "\ufffd"))
		if !utf8.ValidString(name) || !has(c.Interaction.Params, name) {
			k.problem(pointer, "is not one of the campaign's params; %s", known(c.Interaction.Params))
			continue
		}
		k.plain(pointer, params[name], maxParam)
	}
	if len(k.problems) > 0 {
		return k.problems
	}
	return nil
}
