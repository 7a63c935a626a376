package campaigns

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Change is one field of a campaign that is not as it was. Before and After are
// JSON values as encoding/json reads them, with numbers as json.Number; nil
// says that there was, or is, nothing.
type Change struct {
	Pointer string `json:"pointer" doc:"The field: a JSON pointer (RFC 6901). An item of a list that is no longer there is named by the place it had."`
	Before  any    `json:"before,omitempty" doc:"What it was, the default where nothing was said; absent where there was nothing."`
	After   any    `json:"after,omitempty" doc:"What it is, the default where nothing is said; absent where there is nothing."`
}

// UnmarshalJSON reads a change. Numbers stay as they are written: a float64
// would be shown as 1e+06.
func (c *Change) UnmarshalJSON(data []byte) error {
	type plain Change // has no UnmarshalJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode((*plain)(c))
}

// Changes are the differences between two campaigns, in the order of the
// fields: of what people write, without what the store keeps or the API adds.
//
// What was left out stands for its default: to spell a default out changes
// nothing. Params are compared one by one, and lists by what is new in them and
// what is gone; a list that is only in another order is one change. Where before
// is nil, the changes are all that the campaign says, without defaults.
func Changes(before, after *Campaign) []Change {
	var d differ
	was, is := side{}, sideOf(after, after)
	if before != nil {
		was, is = sideOf(before, withDefaults(before)), sideOf(after, withDefaults(after))
	}
	d.structs("", reflect.TypeFor[Campaign](), was, is)
	return d.changes
}

// withDefaults is a copy with all defaults set.
func withDefaults(c *Campaign) *Campaign {
	full := *c
	full.SetDefaults()
	return &full
}

// side is one value of a campaign twice: as it was written, and as it is meant.
// Both are invalid where there is none.
type side struct{ written, meant reflect.Value }

func sideOf(written, meant *Campaign) side {
	return side{reflect.ValueOf(*written), reflect.ValueOf(*meant)}
}

// each gives the same part of both.
func (s side) each(part func(reflect.Value) reflect.Value) side {
	at := func(v reflect.Value) reflect.Value {
		if !v.IsValid() {
			return v
		}
		return part(v)
	}
	return side{at(s.written), at(s.meant)}
}

// differ gathers the differences of two campaigns.
type differ struct{ changes []Change }

func (d *differ) note(pointer string, before, after any) {
	d.changes = append(d.changes, Change{Pointer: pointer, Before: before, After: after})
}

// structs compares the fields of two structs, one of which may be missing.
func (d *differ) structs(at string, t reflect.Type, before, after side) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("readOnly") == "true" {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		field := func(v reflect.Value) reflect.Value { return v.Field(i) }
		d.values(at+Pointer(name), f.Type, before.each(field), after.each(field))
	}
}

var textType = reflect.TypeFor[encoding.TextMarshaler]()

// values compares what is in one field. What is meant must differ, and also
// what is written: a default that follows from another field is no change of
// its own.
func (d *differ) values(at string, t reflect.Type, before, after side) {
	was, is := jsonOf(before.meant), jsonOf(after.meant)
	if reflect.DeepEqual(was, is) || reflect.DeepEqual(jsonOf(before.written), jsonOf(after.written)) {
		return
	}
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		t, before, after = t.Elem(), before.each(reflect.Value.Elem), after.each(reflect.Value.Elem)
	}
	switch {
	case t.Kind() == reflect.Struct && !t.Implements(textType):
		d.structs(at, t, before, after)
	case t.Kind() == reflect.Map:
		d.maps(at, was, is)
	case t.Kind() == reflect.Slice:
		d.lists(at, was, is)
	default:
		d.note(at, was, is)
	}
}

// maps compares what stands under each name.
func (d *differ) maps(at string, before, after any) {
	was, _ := before.(map[string]any)
	is, _ := after.(map[string]any)
	names := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !reflect.DeepEqual(was[name], is[name]) {
			d.note(at+Pointer(name), was[name], is[name])
		}
	}
}

// lists tells what is gone from a list, then what is new in it.
func (d *differ) lists(at string, before, after any) {
	was, _ := before.([]any)
	is, _ := after.([]any)
	n := len(d.changes)
	missing := func(from, in []any, note func(pointer string, item any)) {
		there := make(map[string]int, len(in))
		for _, item := range in {
			there[fmt.Sprint(item)]++
		}
		for i, item := range from {
			if there[fmt.Sprint(item)]--; there[fmt.Sprint(item)] < 0 {
				note(at+"/"+strconv.Itoa(i), item)
			}
		}
	}
	missing(was, is, func(pointer string, item any) { d.note(pointer, item, nil) })
	missing(is, was, func(pointer string, item any) { d.note(pointer, nil, item) })
	if len(d.changes) == n {
		d.note(at, before, after)
	}
}

// jsonOf is a value as JSON has it; nil where it is not there or would be left
// out.
func jsonOf(v reflect.Value) any {
	if !v.IsValid() || v.IsZero() || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0 {
		return nil
	}
	raw, err := json.Marshal(v.Interface())
	if err != nil {
		return nil // no field of a campaign can fail so
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return nil
	}
	return value
}
