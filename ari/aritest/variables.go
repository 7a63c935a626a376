package aritest

import (
	"slices"
	"strings"
)

// separate splits the arguments of an Asterisk function or application at
// commas as ast_app_separate_args does when it also removes characters: double
// quotes group and vanish, a backslash takes the next character literally,
// commas within parentheses and brackets do not count.
func separate(s string) []string {
	if s == "" {
		return nil
	}
	var (
		args            []string
		arg             strings.Builder
		parens, squares int
		quoted          bool
	)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\':
			if i++; i < len(s) {
				arg.WriteByte(s[i])
			}
			continue
		case c == '"':
			quoted = !quoted
			continue
		case c == ',' && parens == 0 && squares == 0 && !quoted:
			args = append(args, arg.String())
			arg.Reset()
			continue
		case c == '(':
			parens++
		case c == ')' && parens > 0:
			parens--
		case c == '[':
			squares++
		case c == ']' && squares > 0:
			squares--
		}
		arg.WriteByte(c)
	}
	return append(args, arg.String())
}

// assign sets a variable or function of the channel. Callers hold the server's
// lock. Names are treated as by pbx_builtin_setvar_helper: leading underscores
// (inheritance) are not part of the stored name, and a name that ends in a
// parenthesis is a function; writing to an unknown one does nothing.
func (c *channel) assign(name string, value *string) {
	function, argument, isFunction := splitFunction(name)
	if !isFunction {
		c.store(name, value)
		return
	}
	text := ""
	if value != nil {
		text = *value
	}
	switch function {
	case "ARRAY":
		values := separate(text)
		for i, n := range separate(argument) {
			v := ""
			if i < len(values) {
				v = values[i]
			}
			c.store(n, &v)
		}
	case "CALLERID":
		switch argument {
		case "num":
			c.wire.Caller.Number = text
		case "name":
			c.wire.Caller.Name = text
		case "rdnis":
			c.wire.RDNIS = text
		}
	case "TIMEOUT":
		if strings.EqualFold(argument, "absolute") {
			c.setTimeout(text)
		}
	}
}

// store sets or, with a nil value, removes one plain variable and reports it.
func (c *channel) store(name string, value *string) {
	plain := strings.TrimPrefix(strings.TrimPrefix(name, "_"), "_")
	if plain == "" {
		return
	}
	reported := ""
	if value == nil {
		delete(c.vars, plain)
	} else {
		c.vars[plain] = *value
		reported = *value
	}
	c.emit(event{Type: "ChannelVarset", Variable: &name, Value: &reported, Channel: c.snapshot()})
	c.changed()
}

// lookup reads a variable or function. known is false where Asterisk says that
// the variable does not exist, readable where it cannot read the function.
func (c *channel) lookup(name string) (value string, known, readable bool) {
	function, argument, isFunction := splitFunction(name)
	if isFunction {
		value, readable = c.callFunction(function, argument)
		return value, true, readable
	}
	switch name {
	case "EXTEN":
		return c.wire.Dialplan.Extension, true, true
	case "CONTEXT":
		return c.wire.Dialplan.Context, true, true
	case "CHANNEL":
		return c.wire.Name, true, true
	case "UNIQUEID":
		return c.wire.ID, true, true
	}
	if value, known = c.vars[name]; !known {
		value, known = c.srv.globals[name]
	}
	return value, known, true
}

func (c *channel) callFunction(function, argument string) (string, bool) {
	switch function + " " + argument {
	case "CALLERID num", "CALLERID ani":
		return c.wire.Caller.Number, true
	case "CALLERID name":
		return c.wire.Caller.Name, true
	case "CALLERID num-pres", "CALLERID pres":
		return c.presentation, true
	case "CALLERID rdnis", "REDIRECTING from-num":
		return c.wire.RDNIS, true
	case "CALLERID dnid":
		return c.dnis, true
	case "CHANNEL state":
		return c.wire.State, true
	}
	return "", slices.Contains([]string{"CALLERID", "REDIRECTING", "CHANNEL"}, function)
}

// splitFunction takes FUNCTION(argument) apart.
func splitFunction(name string) (function, argument string, ok bool) {
	if !strings.HasSuffix(name, ")") {
		return "", "", false
	}
	function, argument, _ = strings.Cut(strings.TrimSuffix(name, ")"), "(")
	return function, argument, true
}
