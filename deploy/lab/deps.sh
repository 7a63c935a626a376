#!/usr/bin/env bash
# Gets what the tests, the demo and the benchmark run beside deflectd: Redis,
# SIPp and Asterisk; with the argument "race" also the C compiler that Go's race
# detector needs, with "browser" also the Chromium that the tests of the page
# look through. Does nothing where all of it is there already; needs root (or
# sudo) only for what apt must install.
#
# Asterisk is taken from PATH, else from apt, else (Debian 12 and 13 do not
# have it) it is unpacked from a newer Debian release into the user's cache,
# from where deploy/lab runs it as it is: no root, no chroot.
set -euo pipefail

release=forky # the Debian release that has Asterisk 22
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/deflectd
root=$cache/asterisk

say() { printf 'deps: %s\n' "$*" >&2; }
die() {
	printf 'deps: error: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf '      %s\n' "$@" >&2
	exit 1
}
have() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1" >/dev/null 2>&1; }

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif have sudo; then
		sudo -- "$@"
	else
		die "root is needed to run: $*" "run it as root yourself, or install sudo, then try again"
	fi
}

updated=
update() {
	[ -z "$updated" ] || return 0
	have apt-get || die "apt-get is not here, and something is missing: $*" \
		"install redis-server, sipp, asterisk (and chromium) in the way of this system, so that they are on PATH"
	say "reading the package lists"
	as_root apt-get -qq update ||
		say "apt-get update had errors; trying with the lists that are there"
	updated=yes
}

# candidate PACKAGE: can apt install it?
candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'; }

# install PACKAGE...: what it brings is run by the tests on ports of their
# own; a service that the package starts by itself is only in the way.
install() {
	local said
	update "$*"
	say "installing $*"
	said=$(as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "$@" 2>&1) ||
		die "apt could not install: $*" "it said:" "$(tail -n 20 <<<"$said")" \
			"'apt-get update' and a look at /etc/apt/sources.list* usually help"
	local package
	for package in "$@"; do
		case $package in
		redis-server | asterisk)
			if [ -d /run/systemd/system ]; then
				as_root systemctl --quiet disable --now "$package" || true
			fi
			;;
		esac
	done
}

# mirror: where apt on this machine gets Debian's main archive from.
mirror() {
	local codename
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v codename="$codename" '
			$3 == "main" && $2 ~ "^(" codename "|stable|oldstable|testing|sid|unstable)$" { print $1; exit }'
}

unpack_asterisk() {
	local from temp
	have mmdebstrap || install mmdebstrap
	[ -r "$keyring" ] || install debian-archive-keyring
	from=$(mirror)
	[ -n "$from" ] || die "apt's sources name no Debian archive to take Asterisk from" \
		"install Asterisk 20 or newer so that 'asterisk' is on PATH, then try again"
	mkdir -p "$cache"
	# One at a time; who waited finds it there. What an earlier run that was
	# killed has left is rubbish.
	exec 9>"$cache/lock"
	flock 9
	[ ! -x "$root/usr/sbin/asterisk" ] || return 0
	rm -rf "$cache"/unpack.*
	temp=$(mktemp -d "$cache/unpack.XXXXXX")
	# shellcheck disable=SC2064 # the path as it is now
	trap "rm -rf '$temp'" EXIT
	trap 'exit 130' INT TERM
	say "unpacking Asterisk from Debian $release into $root (about 100 MB to fetch, half a minute)"
	# The packages are only taken apart, not installed: that needs no root, no
	# chroot and no namespace, and runs no script of theirs. The tar on the way
	# makes every file the user's own. The release file of a mirror that stands
	# still may have expired; signatures are checked all the same.
	mmdebstrap --quiet --mode=chrootless --variant=extract --format=tar \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--include=asterisk,asterisk-core-sounds-en-gsm \
		"$release" - "deb [signed-by=$keyring] $from $release main" |
		tar -x -C "$temp" --no-same-owner --no-same-permissions --exclude='./dev/*' ||
		die "Asterisk could not be unpacked from $from" "is that mirror within reach, and does it have '$release'?"
	[ -x "$temp/usr/sbin/asterisk" ] || die "what was unpacked holds no usr/sbin/asterisk"
	chmod -R u+rwX "$temp"
	rm -rf "$root"
	mv -T "$temp" "$root"
	trap - EXIT INT TERM
}

# get_browser: the Chromium without windows is the same engine, and brings no
# desktop along; not every Debian has it as a package of its own.
get_browser() {
	if have chromium-headless-shell || have chromium; then
		return
	fi
	update chromium
	if candidate chromium-headless-shell; then
		install chromium-headless-shell
	else
		install chromium
	fi
}

for want in "$@"; do
	case $want in
	race) have gcc || install gcc libc6-dev ;;
	browser) get_browser ;;
	*) die "nothing is known of: $want" "what may be asked for besides the rest: race, browser" ;;
	esac
done
have redis-server || install redis-server
have sipp || install sip-tester

if have asterisk; then
	asterisk=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v asterisk)
elif [ -x "$root/usr/sbin/asterisk" ]; then
	asterisk=$root/usr/sbin/asterisk
else
	# Lists that are old will do, and need no root.
	compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || update asterisk
	if candidate asterisk; then
		install asterisk
		asterisk=/usr/sbin/asterisk
	else
		unpack_asterisk
		asterisk=$root/usr/sbin/asterisk
	fi
fi
say "all there: $(command -v redis-server), $(command -v sipp), $asterisk"
