package campaigns

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChanges(t *testing.T) {
	number := func(s string) any { return json.Number(s) }
	for name, c := range map[string]struct {
		change func(c *Campaign)
		want   []Change
	}{
		"nothing":                  {func(*Campaign) {}, nil},
		"all defaults spelled out": {func(c *Campaign) { c.SetDefaults() }, nil},
		"what the store and the API add": {func(c *Campaign) {
			c.Version, c.UpdatedAt, c.DeletedAt = 7, time.Now(), new(time.Time)
			c.Warnings, c.Texts = []Problem{{}}, &Texts{Days: 7}
		}, nil},
		"from a default":                      {func(c *Campaign) { c.Validity = Duration(time.Hour) }, []Change{{"/validity", "15m", "1h"}}},
		"to nothing":                          {func(c *Campaign) { c.Name = "" }, []Change{{"/name", "Billing", nil}}},
		"off":                                 {func(c *Campaign) { c.Enabled = new(bool) }, []Change{{"/enabled", true, false}}},
		"several":                             {func(c *Campaign) { c.Text, c.Name = "y", "B" }, []Change{{"/name", "Billing", "B"}, {"/text", "x", "y"}}},
		"a default that follows is no change": {func(c *Campaign) { c.Offer.Mode = ModeSend }, []Change{{"/offer/mode", "ask", "send"}}},
		"one number for another": {
			func(c *Campaign) { c.DNIS = []string{"2", "3", "4"} },
			[]Change{{"/dnis/0", "1", nil}, {"/dnis/2", nil, "4"}},
		},
		"the same numbers in another order": {
			func(c *Campaign) { c.DNIS = []string{"3", "1", "2"} },
			[]Change{{"/dnis", []any{"1", "2", "3"}, []any{"3", "1", "2"}}},
		},
		"a list that was the default": {
			func(c *Campaign) { c.LineTypes = []string{"mobile", "voip"} },
			[]Change{{"/line_types/1", "unknown", nil}, {"/line_types/1", nil, "voip"}},
		},
		"params": {
			func(c *Campaign) { c.Interaction.Params = map[string]string{"lang": "es", "a/b": ""} },
			[]Change{{"/interaction/params/a~1b", nil, ""}, {"/interaction/params/lang", "en", "es"}, {"/interaction/params/x", "1", nil}},
		},
		"no limit is not the same as none given": {
			func(c *Campaign) { c.Limits = limits(0, 0, 5) },
			[]Change{{"/limits/cooldown", nil, "0s"}, {"/limits/per_caller_per_day", nil, number("0")}, {"/limits/per_day", nil, number("5")}},
		},
		"empty limits say nothing": {func(c *Campaign) { c.Limits = &Limits{} }, nil},
		"hours": {
			func(c *Campaign) { c.Hours = &Hours{Weekly: map[string][]string{"mon": {"09:00-17:00"}}} },
			[]Change{{"/hours/weekly/mon", nil, []any{"09:00-17:00"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plain := func() *Campaign {
				return &Campaign{
					ID: "billing", Name: "Billing", Text: "x", DNIS: []string{"1", "2", "3"},
					Interaction: Interaction{URL: "https://a.example", Params: map[string]string{"lang": "en", "x": "1"}},
				}
			}
			after := plain()
			c.change(after)
			require.Equal(t, c.want, Changes(plain(), after))

			// The other way round it is the same, with the sides changed.
			back := Changes(after, plain())
			require.Len(t, back, len(c.want))
			require.Equal(t, plain(), plain(), "neither is changed by it")
		})
	}
}

func TestChangesOfANewCampaign(t *testing.T) {
	c := &Campaign{ID: "a", DNIS: []string{"1", "*"}, Text: "x", Enabled: new(bool), Interaction: Interaction{Params: map[string]string{"lang": "en"}}}
	require.Equal(t, []Change{
		{"/id", nil, "a"},
		{"/enabled", nil, false},
		{"/dnis/0", nil, "1"},
		{"/dnis/1", nil, "*"},
		{"/interaction/params/lang", nil, "en"},
		{"/text", nil, "x"},
	}, Changes(nil, c))
	require.Nil(t, c.LineTypes)
}

// No field that people write is forgotten: each is changed in turn, and found
// where it stands in the JSON.
func TestChangesSeeEveryField(t *testing.T) {
	seen := 0
	var visit func(at string, root *Campaign, v reflect.Value)
	visit = func(at string, root *Campaign, v reflect.Value) {
		for i := range v.NumField() {
			f, field := v.Type().Field(i), v.Field(i)
			if f.Tag.Get("readOnly") == "true" {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			pointer := at + "/" + name
			old := reflect.New(f.Type).Elem()
			old.Set(field)
			if field.Kind() == reflect.Pointer && field.Type().Elem().Kind() == reflect.Struct {
				field.Set(reflect.New(field.Type().Elem()))
				visit(pointer, root, field.Elem())
				field.Set(old)
				continue
			}
			if field.Kind() == reflect.Struct {
				visit(pointer, root, field)
				continue
			}
			odd(t, field)
			changes := Changes(&Campaign{}, root)
			require.NotEmpty(t, changes, pointer)
			for _, c := range changes {
				require.True(t, c.Pointer == pointer || strings.HasPrefix(c.Pointer, pointer+"/"), "%s: %v", pointer, c)
				require.NotNil(t, c.After)
			}
			require.NotEmpty(t, Changes(root, &Campaign{}), pointer)
			field.Set(old)
			seen++
		}
	}
	c := new(Campaign)
	visit("", c, reflect.ValueOf(c).Elem())
	require.Greater(t, seen, 35)
}

// odd gives a field a value that is no default.
func odd(t *testing.T, field reflect.Value) {
	t.Helper()
	switch field.Interface().(type) {
	case *bool:
		field.Set(reflect.ValueOf(new(bool)))
		return
	case []string:
		field.Set(reflect.ValueOf([]string{"mobile", "unknown", "odd"}))
		return
	case map[string]string:
		field.Set(reflect.ValueOf(map[string]string{"odd": "1"}))
		return
	case map[string][]string:
		field.Set(reflect.ValueOf(map[string][]string{"odd": {"1"}}))
		return
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString("odd")
	case reflect.Bool:
		field.SetBool(true)
	case reflect.Int, reflect.Int64:
		field.SetInt(int64(7 * time.Minute))
	case reflect.Pointer:
		field.Set(reflect.New(field.Type().Elem()))
	default:
		t.Fatalf("a field of another kind: %s", field.Type())
	}
}
