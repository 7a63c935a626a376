// Command lint holds the description of the API (docs/openapi.json) to the rules
// of OpenAPI 3.1 and to good habits. It is a module of its own, so that what it
// needs does not become a dependency of deflectd.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/speakeasy-api/openapi/linter"
	"github.com/speakeasy-api/openapi/openapi"
	rules "github.com/speakeasy-api/openapi/openapi/linter"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: lint openapi.json")
		os.Exit(2)
	}
	if err := lint(context.Background(), os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(1)
	}
}

// lint writes what is to be said about a document to w. An error says that it
// does not pass: there is anything to be said at all.
func lint(ctx context.Context, path string, w io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	document, invalid, err := openapi.Unmarshal(ctx, file)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	l, err := rules.NewLinter(config())
	if err != nil {
		return err
	}
	found, err := l.Lint(ctx, linter.NewDocumentInfo(document, path), invalid, nil)
	if err != nil {
		return fmt.Errorf("lint %s: %w", path, err)
	}
	if len(found.Results) == 0 {
		return nil
	}
	fmt.Fprint(w, found.FormatText())
	return fmt.Errorf("%s does not pass", path)
}

// passedOver are rules that do not fit this API, each with the reason. All others
// hold.
var passedOver = map[string]string{
	"oas3-example-missing":                    "a field says in words what it is; examples are where words do not do",
	"owasp-string-limit":                      "what is sent is bounded by the program (docs name the bound where one may meet it); answers promise none",
	"owasp-string-restricted":                 "as for owasp-string-limit",
	"owasp-array-limit":                       "as for owasp-string-limit",
	"owasp-integer-limit":                     "as for owasp-string-limit",
	"owasp-additional-properties-constrained": "as for owasp-string-limit",
	"owasp-no-additional-properties":          "params have the names that people give them",
	"owasp-rate-limit":                        "requests are not limited; only failed attempts to sign in are",
	"owasp-define-error-responses-429":        "as for owasp-rate-limit: such an attempt meets no operation",
	"owasp-security-hosts-https-oas3":         "the API is wherever the daemon listens, often behind what does TLS for it",
	"style-oas3-host-trailing-slash":          "the address of the server is / alone",
	"style-component-description":             "the fields that have a type say what it is for",
	"style-tags-alphabetical":                 "tags are in the order in which one gets to know the API",
	"style-info-contact":                      "whoever runs the daemon is whom to ask",
	"style-license-url":                       "the licence has an identifier, which OpenAPI 3.1 takes instead",
}

func config() *linter.Config {
	c := linter.NewConfig()
	off := true
	// JSON Schema lets a schema have keywords of its own; this one says in words
	// what a pattern means.
	c.Rules = append(c.Rules, linter.RuleEntry{
		ID: "validation-unknown-properties", Match: regexp.MustCompile("`patternDescription`"), Disabled: &off,
	})
	for rule := range passedOver {
		c.Rules = append(c.Rules, linter.RuleEntry{ID: rule, Disabled: &off})
	}
	return c
}
