package campaigns

import "strings"

// hashTag begins every key: all facts share one slot of a Redis Cluster, so
// that one script can see them all.
const hashTag = "{deflectd}"

// Key is the name of a Redis key of deflectd: the hash tag and the parts,
// joined with ":".
func Key(parts ...string) string {
	return hashTag + ":" + strings.Join(parts, ":")
}
