package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// clusterNodes is the smallest Cluster there is: each is a master of a third
// of the slots.
const clusterNodes = 3

// slots of a Redis Cluster (Redis Cluster specification).
const slots = 16384

// StartCluster runs a Redis Cluster of three nodes with their files in dir, and
// is StartRedis in all else. A Cluster serves nobody for the first two seconds,
// and StartCluster waits for that.
func StartCluster(ctx context.Context, dir string, args ...string) (*Redis, error) {
	held, err := takePorts(2 * clusterNodes)
	if err != nil {
		return nil, fmt.Errorf("start a redis cluster: %w", err)
	}
	r := &Redis{held: held}
	if err := r.startCluster(ctx, dir, args); err != nil {
		held.release()
		return nil, fmt.Errorf("start a redis cluster: %w", err)
	}
	return r, nil
}

func (r *Redis) startCluster(ctx context.Context, dir string, args []string) error {
	for i := range clusterNodes {
		own := append([]string{
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(r.held.first + clusterNodes + i),
			"--cluster-announce-ip", "127.0.0.1", "--cluster-config-file", "nodes.conf",
		}, args...)
		if err := r.add(filepath.Join(dir, "node"+strconv.Itoa(i+1)), r.held.first+i, own); err != nil {
			return err
		}
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.meet(ctx); err != nil {
		return errors.Join(err, r.Kill())
	}
	return nil
}

// meet makes one Cluster of the nodes, which know nothing of each other yet.
func (r *Redis) meet(ctx context.Context) error {
	for i, n := range r.nodes {
		first, last := i*slots/clusterNodes, (i+1)*slots/clusterNodes-1
		if _, err := n.ask(ctx, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
			return err
		}
		// Each a number of its own, or the nodes have to settle that first.
		if _, err := n.ask(ctx, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	for i := 1; i < clusterNodes; i++ {
		_, err := r.nodes[0].ask(ctx, "CLUSTER", "MEET", "127.0.0.1",
			strconv.Itoa(r.held.first+i), strconv.Itoa(r.held.first+clusterNodes+i))
		if err != nil {
			return err
		}
	}
	return r.awaitServed(ctx)
}

// awaitServed waits until every node says that all nodes are there and all
// slots are served.
func (r *Redis) awaitServed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for _, n := range r.nodes {
		if err := n.Ready(ctx, n.serves); err != nil {
			return err
		}
	}
	return nil
}

func (n *redisNode) serves(ctx context.Context) error {
	info, err := n.ask(ctx, "CLUSTER", "INFO")
	if err != nil {
		return err
	}
	for _, want := range []string{"cluster_state:ok", "cluster_known_nodes:" + strconv.Itoa(clusterNodes)} {
		if !strings.Contains(info, want+"\r\n") {
			return fmt.Errorf("the cluster does not serve yet: it does not say %s", want)
		}
	}
	return nil
}

// TestRedisVariable is the environment variable that says what StartTestRedis
// starts: "cluster", or else a Redis alone.
const TestRedisVariable = "DEFLECTD_TEST_REDIS"

// StartTestRedis is for tests that are to pass on a Redis alone as on a Cluster:
// it is StartCluster where the environment variable TestRedisVariable is
// "cluster", else StartRedis. A client of it is given all of Addrs.
func StartTestRedis(ctx context.Context, dir string, args ...string) (*Redis, error) {
	if os.Getenv(TestRedisVariable) == "cluster" {
		return StartCluster(ctx, dir, args...)
	}
	return StartRedis(ctx, dir, args...)
}
