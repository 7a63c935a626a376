package sender_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/sender"
	"deflectd/deploy/lab"
)

// Two daemons obtain and release the same few numbers at once, with a provider
// that misbehaves: in the end the senders are the numbers that the account owns,
// and every error on the way was one that is told of.
func TestSendersAgreeWithTheAccount(t *testing.T) {
	r := newRig(t)
	daemons := []*sender.Senders{r.daemon(), r.daemon()}
	expected := []error{
		sender.ErrTaken, sender.ErrBusy, sender.ErrConflict, sender.ErrUnavailable, sender.ErrProvider, sender.ErrNotFound,
	}
	var numbers []string
	for i := range 4 {
		numbers = append(numbers, fmt.Sprintf("+1415555%04d", 100+i))
	}
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			for step := range 25 {
				s, number := daemons[w%2], numbers[random.IntN(len(numbers))]
				if random.IntN(3) == 0 {
					r.provider.ThenNumbers([]lab.NumberBehaviour{
						{HangUp: true}, {HangUp: true, Done: true}, {Status: 500}, {Status: 502, Done: true}, {Status: 503},
					}[random.IntN(5)])
				}
				var err error
				key := ""
				if random.IntN(2) == 0 {
					key = fmt.Sprintf("%d %d", w, step)
				}
				if random.IntN(2) == 0 {
					_, err = s.Obtain(t.Context(), number, "US", "ops", key)
				} else {
					err = s.Release(t.Context(), number, "ops", random.IntN(2) == 0)
				}
				var confirm *sender.ConfirmError
				if err != nil && !errors.As(err, &confirm) && !errorsIsAny(err, expected...) {
					t.Error("unexpected:", err)
				}
			}
		})
	}
	workers.Wait()
	for _, number := range numbers {
		if n, err := r.rdb.HExists(t.Context(), pendingKey, number).Result(); err == nil && n {
			r.age(number, time.Hour)
		}
	}
	r.run(daemons[0])
	eventually(t, func() bool { return r.pending() == 0 })
	require.Equal(t, r.provider.OwnNumbers(), r.ids(daemons[1]))

	paid := make(map[string]int)
	for _, one := range r.provider.NumberRequests() {
		switch {
		case one.Done && one.Method == http.MethodPost:
			paid["+"+one.Number]++
		case one.Done:
			paid["+"+one.Number]--
		}
	}
	for number, n := range paid {
		require.Equal(t, slices.Contains(r.ids(daemons[0]), number), n == 1, number)
	}
}
