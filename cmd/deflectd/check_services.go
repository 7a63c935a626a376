package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/messagebird/go-rest-api/v9/balance"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/message/messagebird"
	"deflectd/config"
)

const redisItem = "redis"

// checkRedis asks the store whether it keeps what it is given.
func checkRedis(ctx context.Context, cfg config.Redis) []finding {
	rdb, err := openRedis(cfg)
	if err != nil {
		return []finding{{failed, redisItem, err.Error(), ""}}
	}
	defer func() { _ = rdb.Close() }()
	address := "redis"
	if o, err := cfg.Options(); err == nil {
		address = fmt.Sprintf("%s, database %d", o.Addr, o.DB)
		if o.Cluster != nil {
			address = "cluster " + strings.Join(o.Cluster, ", ")
		}
	}
	if err := rdb.Ping(ctx).Err(); err != nil {
		advice := "is Redis running there?"
		if message := err.Error(); strings.Contains(message, "AUTH") || strings.Contains(message, "WRONGPASS") {
			advice = "compare the user and password in redis.url with those of Redis"
		}
		return []finding{{failed, redisItem, fmt.Sprintf("%s: %v", address, cause(err)), advice}}
	}
	proof := proveWriting(ctx, rdb, address)
	text, err := info(ctx, rdb)
	if err != nil {
		return []finding{proof, {
			warning, redisItem, fmt.Sprintf("%s answers, but not to INFO: %v", address, cause(err)),
			"see by hand that it is Redis 7.0 or newer, appendonly is yes and maxmemory-policy is noeviction",
		}}
	}
	_, cluster := rdb.(*redis.ClusterClient)
	return append(judgeRedis(address, parseInfo(text), cluster), proof)
}

// info asks the Redis that has our keys about itself.
func info(ctx context.Context, rdb redis.UniversalClient) (string, error) {
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		node, err := cluster.MasterForKey(ctx, campaigns.ServiceKey)
		if err != nil {
			return "", err
		}
		rdb = node
	}
	return rdb.Info(ctx).Result()
}

// proveWriting does the two things that everything kept needs: it writes, a key
// that is gone in a second, and runs a script.
func proveWriting(ctx context.Context, rdb redis.UniversalClient, address string) finding {
	key := campaigns.Key("check")
	if err := rdb.Set(ctx, key, "1", time.Second).Err(); err != nil {
		return finding{
			failed, redisItem, fmt.Sprintf("%s cannot be written to: %v", address, cause(err)),
			"name the master in redis.url, with memory left and a user that may do everything with keys and channels that begin with {deflectd}:",
		}
	}
	if err := rdb.Eval(ctx, "return 1", []string{key}).Err(); err != nil {
		return finding{
			failed, redisItem, fmt.Sprintf("%s runs no scripts: %v", address, cause(err)),
			"allow the user of redis.url EVAL and EVALSHA",
		}
	}
	return finding{fine, redisItem, "it can be written to, and runs scripts", ""}
}

// oldestRedis is the first major version with all that the scripts rely on.
const oldestRedis = 7

// judgeRedis reads what INFO says; cluster is whether redis.url names a Cluster.
func judgeRedis(address string, info map[string]string, cluster bool) []finding {
	findings := []finding{{fine, redisItem, fmt.Sprintf("Redis %s at %s", info["redis_version"], address), ""}}
	add := func(v verdict, detail, advice string) {
		findings = append(findings, finding{v, redisItem, detail, advice})
	}
	major, _, _ := strings.Cut(info["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestRedis {
		add(failed, "it is older than Redis 7.0", "name a Redis 7.0 or newer in redis.url")
	}
	if role := info["role"]; role != "" && role != "master" {
		add(failed, "it is a replica and takes no writes", "name the master in redis.url")
	}
	if member := info["cluster_enabled"] == "1"; member && !cluster {
		add(failed, "it is a node of a Cluster", "name several of its nodes in redis.url: redis://host:port,host:port")
	} else if cluster && !member {
		add(failed, "it is no node of a Cluster", "name one address in redis.url")
	}
	if info["aof_enabled"] == "0" {
		add(warning, "appendonly is off: a crash of Redis loses texts that were promised to callers", "set appendonly yes in redis.conf")
	}
	if policy := info["maxmemory_policy"]; policy != "" && policy != "noeviction" && info["maxmemory"] != "0" {
		add(warning, "maxmemory-policy is "+policy+": a full Redis drops links, texts or campaigns", "set maxmemory-policy noeviction in redis.conf")
	}
	return findings
}

// parseInfo reads the lines "key:value" of INFO.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); found {
			info[key] = value
		}
	}
	return info
}

// checkProvider asks who carries the texts whether the account is good for it.
func checkProvider(ctx context.Context, cfg config.SMS) []finding {
	if cfg.Provider != config.ProviderMessageBird {
		return []finding{{fine, "sms " + string(cfg.Provider), "texts are kept and shown, not sent", ""}}
	}
	client, err := messagebird.NewClient(messagebird.Options{
		AccessKey: cfg.MessageBird.AccessKey.Reveal(), URL: cfg.MessageBird.URL, Connections: 1,
	})
	if err != nil {
		return []finding{{failed, messageBirdItem, err.Error(), ""}}
	}
	defer client.Close()
	account, err := balance.Read(client.With(ctx))
	return []finding{judgeMessageBird(cfg.MessageBird.URL, account, err)}
}

const messageBirdItem = "sms messagebird"

// judgeMessageBird reads the account's balance, or why there is no answer.
func judgeMessageBird(url string, account *balance.Balance, err error) finding {
	var refused *messagebird.StatusError
	var unsent *messagebird.RequestError
	switch {
	case errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden):
		return finding{
			failed, messageBirdItem, url + " refuses the access key",
			"compare sms.messagebird.access_key with the key in MessageBird's dashboard",
		}
	case errors.As(err, &refused):
		return finding{failed, messageBirdItem, fmt.Sprintf("%s answers: %v", url, refused), "try again later"}
	case errors.As(err, &unsent):
		return finding{
			failed, messageBirdItem, fmt.Sprintf("%s: %v", url, cause(unsent.Err)),
			"can this machine reach the internet, through its proxy if there is one?",
		}
	case err != nil:
		return finding{failed, messageBirdItem, fmt.Sprintf("%s: %v", url, err), "is sms.messagebird.url right?"}
	case account.Payment == "prepaid" && account.Amount <= 0:
		return finding{failed, messageBirdItem, "the account is empty", "top it up"}
	}
	return finding{fine, messageBirdItem, fmt.Sprintf("balance: %s, %.2f %s", account.Payment, account.Amount, account.Type), ""}
}
