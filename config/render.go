package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// String is the configuration as YAML, its secrets hidden.
func (c *Config) String() string {
	out, err := yaml.Marshal(mapping(reflectConfig(c), 0, Secret.String))
	if err != nil {
		return "config: " + err.Error()
	}
	return string(out)
}

// LogValue is every setting under its key, the secrets hidden.
func (c *Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range settings(c) {
		if s.later {
			continue
		}
		text, err := yaml.Marshal(render(s.value, yaml.FlowStyle, Secret.String))
		if err != nil {
			text = []byte(err.Error())
		}
		attrs = append(attrs, slog.String(s.key, strings.TrimSpace(string(text))))
	}
	return slog.GroupValue(attrs...)
}

// mapping renders the settings of a struct, less those not built yet; show
// says what is shown of a secret.
func mapping(v reflect.Value, style yaml.Style, show func(Secret) string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode, Style: style}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := keyOf(field)
		if key == "" || field.Tag.Get("later") != "" {
			continue
		}
		value := render(v.Field(i), style, show)
		if value.Kind == yaml.MappingNode && len(value.Content) == 0 {
			continue
		}
		node.Content = append(node.Content, scalarNode(key), value)
	}
	return node
}

// render is the YAML of one value. Texts are quoted where YAML would
// otherwise read them as something else.
func render(v reflect.Value, style yaml.Style, show func(Secret) string) *yaml.Node {
	switch value := v.Interface().(type) {
	case time.Duration:
		return scalarNode(formatDuration(value))
	case Secret:
		return scalarNode(show(value))
	case bool, int:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(value)}
	}
	switch v.Kind() {
	case reflect.Struct:
		return mapping(v, style, show)
	case reflect.Slice:
		node := &yaml.Node{Kind: yaml.SequenceNode, Style: style}
		if v.Type().Elem().Kind() != reflect.Struct {
			node.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			node.Content = append(node.Content, render(v.Index(i), style, show))
		}
		return node
	default:
		return scalarNode(v.String())
	}
}
