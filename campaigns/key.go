package campaigns

import (
	"strings"
	"time"
)

// hashTag begins every key: all facts share one slot of a Redis Cluster, so
// that one script can see them all.
const hashTag = "{deflectd}"

// StoreTimeout is how long Redis may take to answer where no caller waits, unless
// more is allowed.
const StoreTimeout = time.Second

// Key is the name of a Redis key of deflectd: the hash tag and the parts,
// joined with ":".
func Key(parts ...string) string {
	return hashTag + ":" + strings.Join(parts, ":")
}
